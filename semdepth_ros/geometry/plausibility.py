"""Whether intrinsics can be those of a camera with images of this size, and what they look like where they cannot."""
from __future__ import annotations

import math

from semdepth_ros.geometry.camera import Camera

LEAST_DEG, MOST_DEG = 5.0, 170.0  # field of view of a pinhole
MOST_FISHEYE_DEG = 230.0
_OFF_CENTRE = (0.75, 1.3)  # principal point over the middle: beyond in both axes alike, it is another resolution's
_ALIKE = 0.15
_USUAL_RATIOS = (1 / 8, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 2, 2, 3, 4, 8)
_MOST_SKEW = 0.01  # of the focal length


def expect_plausible(camera: Camera, skew: float = 0.0) -> None:
    """Expect a field of view, a principal point and a skew that a camera can have.

    Every check errs on the side of the camera: lenses are shifted and images are cropped.

    :param camera: of whole images, neither cropped nor binned
    :param skew: the second number of K [px]
    :raises ValueError: what is wrong, with the numbers and what they would fit
    """
    size = f'{camera.width}x{camera.height}'
    degrees, most = field_of_view(camera), MOST_FISHEYE_DEG if _is_fisheye(camera) else MOST_DEG
    if not LEAST_DEG <= degrees <= most:
        raise ValueError(f'focal length is {camera.fx:g} px for images of {size}, a field of view of {degrees:.1f} '
                         f'degrees, expected {LEAST_DEG:g} to {most:g}{_looks_like(camera)}')
    if not (-0.5 <= camera.cx <= camera.width - 0.5 and -0.5 <= camera.cy <= camera.height - 0.5):
        raise ValueError(f'principal point is ({camera.cx:g}, {camera.cy:g}), outside of images of {size}'
                         f'{_looks_like(camera)}')
    ratio = _resolution(camera)
    if ratio:
        raise ValueError(f'principal point is ({camera.cx:g}, {camera.cy:g}), far from the middle of images of {size}'
                         f'{_looks_like(camera)}')
    if abs(skew) > _MOST_SKEW * camera.fx:
        raise ValueError(f'skew is {skew:g} px beside a focal length of {camera.fx:g} px, expected none: the pixels of '
                         'cameras are rectangles')


def field_of_view(camera: Camera) -> float:
    """Return the horizontal field of view [degrees]: of an equidistant lens along its circle, else of the pinhole."""
    if _is_fisheye(camera):
        return math.degrees(camera.width / camera.fx)
    return 2 * math.degrees(math.atan2(camera.width / 2, camera.fx))


def _is_fisheye(camera: Camera) -> bool:
    return camera.distortion_model == 'equidistant'


def _resolution(camera: Camera) -> float | None:
    """Return the size of images that the principal point is in the middle of, over the size of these."""
    across, down = 2 * camera.cx / max(1, camera.width - 1), 2 * camera.cy / max(1, camera.height - 1)
    ratio = (across + down) / 2
    alike = min(across, down) > 0 and abs(across - down) < _ALIKE * ratio
    return ratio if alike and not _OFF_CENTRE[0] <= ratio <= _OFF_CENTRE[1] else None


def _looks_like(camera: Camera) -> str:
    if camera.fx < 10 and 0 < camera.cx <= 1 and 0 < camera.cy <= 1:
        return (f' (as parts of the image they would be {camera.fx * camera.width:.4g}, '
                f'{camera.fy * camera.height:.4g} and '
                f'{camera.cx * camera.width:.4g}, {camera.cy * camera.height:.4g} px)')
    ratio = _resolution(camera)
    if ratio is None:
        return ''
    near = min(_USUAL_RATIOS, key=lambda usual: abs(math.log(usual / ratio)))
    ratio = near if abs(near / ratio - 1) < 0.1 else ratio
    return (f' (it fits images of {round(camera.width * ratio)}x{round(camera.height * ratio)}: for {camera.width}x'
            f'{camera.height} multiply the intrinsics by {1 / ratio:.3g})')
