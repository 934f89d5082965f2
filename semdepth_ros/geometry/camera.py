"""The pinhole camera with lens distortion: intrinsics, rays and projection."""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

DISTORTION_MODELS = {'none': (0,), 'plumb_bob': (4, 5), 'rational_polynomial': (8, 12, 14), 'equidistant': (4,)}


@dataclass(frozen=True)
class Camera:
    """Intrinsics of one camera.

    Pixel coordinates follow OpenCV and ROS: the centre of the top-left pixel is (0, 0). Camera axes follow REP 103's optical
    frame: x right, y down, z forward.

    :param width, height: image size [px]
    :param fx, fy, cx, cy: focal lengths and principal point [px]
    :param distortion_model: a key of DISTORTION_MODELS
    :param distortion: coefficients in OpenCV's order; empty for a rectified image
    :param height_m: height of the lens above the road [m], None where unknown
    :raises ValueError: a size or focal length that is not positive and finite, an unknown model, a wrong number of
        coefficients or one that is not finite
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = 'none'
    distortion: tuple[float, ...] = ()
    height_m: float | None = None

    def __post_init__(self):
        for name in ('width', 'height', 'fx', 'fy'):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f'camera {name} is {value}, expected a positive number')
        for name in ('cx', 'cy'):
            if not np.isfinite(getattr(self, name)):
                raise ValueError(f'camera {name} is {getattr(self, name)}, expected a finite number')
        for name, kind in (('width', int), ('height', int), ('fx', float), ('fy', float), ('cx', float), ('cy', float)):
            object.__setattr__(self, name, kind(getattr(self, name)))
        if self.distortion_model not in DISTORTION_MODELS:
            raise ValueError(f'distortion model is {self.distortion_model!r}, expected one of {sorted(DISTORTION_MODELS)}')
        object.__setattr__(self, 'distortion', tuple(float(d) for d in self.distortion))
        if self.distortion and len(self.distortion) not in DISTORTION_MODELS[self.distortion_model]:
            raise ValueError(f'{self.distortion_model} has {len(self.distortion)} distortion coefficients, '
                             f'expected {DISTORTION_MODELS[self.distortion_model]}')
        if not np.isfinite(self.distortion).all():
            raise ValueError(f'camera distortion is {self.distortion}, expected finite numbers')

    @classmethod
    def from_field_of_view(cls, width: int, height: int, horizontal_deg: float, **more) -> Camera:
        """Return a centred camera with square pixels and this horizontal field of view [degrees]."""
        if not 0 < horizontal_deg < 180:
            raise ValueError(f'horizontal field of view is {horizontal_deg} degrees, expected between 0 and 180')
        focal = 0.5 * width / np.tan(np.radians(horizontal_deg) / 2)
        return cls(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2, **more)

    @property
    def matrix(self) -> np.ndarray:
        """The 3x3 intrinsic matrix K, float64."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float64)

    @property
    def is_distorted(self) -> bool:
        """Whether any distortion coefficient differs from zero."""
        return any(self.distortion)

    def scaled(self, width: int, height: int) -> Camera:
        """Return the camera of this image resized to width x height (pixel areas keep their place: half-pixel exact)."""
        sx, sy = width / self.width, height / self.height
        return replace(self, width=width, height=height, fx=self.fx * sx, fy=self.fy * sy,
                       cx=(self.cx + 0.5) * sx - 0.5, cy=(self.cy + 0.5) * sy - 0.5)

    def strided(self, stride: int) -> Camera:
        """Return the camera of image[::stride, ::stride]."""
        return replace(self, width=-(-self.width // stride), height=-(-self.height // stride),
                       fx=self.fx / stride, fy=self.fy / stride, cx=self.cx / stride, cy=self.cy / stride)

    def cropped(self, left: int, top: int, width: int, height: int) -> Camera:
        """Return the camera of the window that starts at (left, top); negative starts pad."""
        return replace(self, width=width, height=height, cx=self.cx - left, cy=self.cy - top)

    def mirrored(self) -> Camera:
        """Return the camera of the image flipped left to right."""
        return replace(self, cx=self.width - 1 - self.cx)

    def rectified(self) -> Camera:
        """Return the same pinhole without distortion."""
        return replace(self, distortion_model='none', distortion=())

    def rays(self) -> np.ndarray:
        """Return undistorted directions with z = 1 through every pixel centre, float32 [height, width, 3]."""
        u, v = np.meshgrid(np.arange(self.width, dtype=np.float64), np.arange(self.height, dtype=np.float64))
        xy = self.undistort(np.stack([u, v], axis=-1).reshape(-1, 2))
        rays = np.concatenate([xy, np.ones((len(xy), 1))], axis=1)
        return rays.reshape(self.height, self.width, 3).astype(np.float32)

    def undistort(self, pixels: np.ndarray) -> np.ndarray:
        """Return the normalised image coordinates x/z, y/z [N, 2] of pixels [N, 2]."""
        pixels = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
        if not self.is_distorted or not len(pixels):  # OpenCV returns nothing for nothing
            return (pixels - [self.cx, self.cy]) / [self.fx, self.fy]
        import cv2
        points, d = pixels.reshape(-1, 1, 2), np.array(self.distortion)
        if self.distortion_model == 'equidistant':
            return cv2.fisheye.undistortPoints(points, self.matrix, d).reshape(-1, 2)
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-9)
        if hasattr(cv2, 'undistortPointsIter'):  # OpenCV 4; OpenCV 5 took its criteria into undistortPoints
            return cv2.undistortPointsIter(points, self.matrix, d, None, None, criteria).reshape(-1, 2)
        return cv2.undistortPoints(points, self.matrix, d, None, None, None, criteria).reshape(-1, 2)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the pixels [N, 2] of points [N, 3] in camera axes; NaN where z <= 0."""
        points = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        with np.errstate(divide='ignore', invalid='ignore'):
            xy = np.where(points[:, 2:] > 0, points[:, :2] / points[:, 2:], np.nan)
        good = np.isfinite(xy).all(axis=1)
        if not self.is_distorted or not good.any():
            return xy * [self.fx, self.fy] + [self.cx, self.cy]
        import cv2
        d = np.array(self.distortion)
        pixels = np.full_like(xy, np.nan)
        if self.distortion_model == 'equidistant':
            pixels[good] = cv2.fisheye.distortPoints(xy[good].reshape(-1, 1, 2), self.matrix, d).reshape(-1, 2)
        else:
            unit = np.concatenate([xy[good], np.ones((good.sum(), 1))], axis=1)
            zero = np.zeros(3)
            pixels[good] = cv2.projectPoints(unit.reshape(-1, 1, 3), zero, zero, self.matrix, d)[0].reshape(-1, 2)
        return pixels

    def sees(self, rays: np.ndarray) -> np.ndarray:
        """Return which rays [N, 2], given as x/z and y/z, meet a pixel of the image, bool [N]."""
        rays = np.asarray(rays, dtype=np.float64).reshape(-1, 2)
        pixels = self.project(np.concatenate([rays, np.ones((len(rays), 1))], axis=1))
        inside = ((pixels > -0.5) & (pixels < [self.width - 0.5, self.height - 0.5])).all(axis=1)
        # A polynomial folds far rays back into the image; there the way back does not lead home.
        error = np.linalg.norm(self.undistort(pixels[inside]) - rays[inside], axis=-1)
        inside[inside] = error < 2 / self.fx
        return inside

    def rectification(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the maps (x, y), float32 [height, width], that a remap takes to rectify this camera's image."""
        u, v = np.meshgrid(np.arange(self.width), np.arange(self.height))
        rays = np.stack([(u - self.cx) / self.fx, (v - self.cy) / self.fy, np.ones(u.shape)], axis=-1)
        maps = self.project(rays.reshape(-1, 3)).reshape(self.height, self.width, 2).astype(np.float32)
        return maps[..., 0], maps[..., 1]
