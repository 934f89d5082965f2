"""Ray casting: which primitive every ray meets first, and how far away; and where rays meet the ground."""
from __future__ import annotations

import torch

from semdepth_ros.world.relief import Relief
from semdepth_ros.world.tiles import NEAR, Candidates, turned

CPU_CHUNK, GPU_CHUNK = 384, 1 << 16     # tiles worked on at once: small enough for the processor's cache
FARTHEST = 900.0                        # ground beyond this is sky [m]


def cast(lists: Candidates, rays: torch.Tensor, meet, matrix: torch.Tensor, origin: torch.Tensor, depth: torch.Tensor,
         index: torch.Tensor) -> None:
    """Bring depth and index up to date with every candidate that is nearer.

    :param rays: directions in world axes [F * T, 3, R]
    :param meet: `meet_boxes` or `meet_rounds`
    :param matrix, origin: world axes to unit shapes [N, 3, 3], and the camera there [N, 3]
    :param depth: nearest depth so far along Z [F * T, R], changed in place
    :param index: number of the primitive met, changed in place
    """
    for tiles, steps in _batches(lists, depth.device.type == 'cpu'):
        ray, t, best = rays[tiles], depth[tiles], index[tiles]
        for n, which in steps:
            hit = meet(which, origin[which][..., None], turned(matrix[which], ray[:n]))
            closer = hit < t[:n]
            t[:n] = torch.where(closer, hit, t[:n])
            best[:n] = torch.where(closer, which[:, None], best[:n])
        depth[tiles], index[tiles] = t, best


def patch_shade(lists: Candidates, rays: torch.Tensor, depth: torch.Tensor, matrix: torch.Tensor, origin: torch.Tensor,
                half: torch.Tensor, left: torch.Tensor) -> None:
    """Multiply `left` by the share of light that flat shadow patches leave on the ground that rays meet at `depth`.

    :param rays, depth, left: [F * T, 3, pixels], [F * T, pixels]; left is changed in place
    :param half: half sizes of the patches [N, 3]
    """
    for tiles, steps in _batches(lists, depth.device.type == 'cpu'):
        points, light = rays[tiles] * depth[tiles][:, None], left[tiles]
        for n, which in steps:
            p = turned(matrix[which], points[:n]).add_(origin[which][..., None]).abs_().sub_(1)
            outside = torch.maximum(p[:, 0] * half[which, :1], p[:, 1] * half[which, 1:2])
            beyond = (p[:, 2] > 0) | ~(outside < 1)
            light[:n] *= (outside / 0.35 + 0.7).clamp_(0, 1).mul_(0.55).add_(0.45).masked_fill_(beyond, 1.0)
        left[tiles] = light


def _batches(lists: Candidates, on_cpu: bool):
    """Yield tiles [n], longest lists first, and their steps: step k serves the n_k tiles that have a k-th candidate."""
    counts = lists.count[lists.order].cpu()
    active = int((counts > 0).sum())
    chunk = CPU_CHUNK if on_cpu else GPU_CHUNK
    for first in range(0, active, chunk):
        tiles = lists.order[first:min(first + chunk, active)]
        many, start = counts[first:first + len(tiles)], lists.start[tiles]
        sizes = torch.searchsorted(-many, -torch.arange(int(many[0]))).tolist()
        yield tiles, ((n, lists.primitive[start[:n] + k]) for k, n in enumerate(sizes))


def meet_boxes(which: torch.Tensor, o: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
    """Return where rays o + t d enter the cube [-1, 1]^3, inf or NaN where they miss it: [n, R]."""
    return _box(o, d)


def meet_rounds(roundness: torch.Tensor):
    """Return the same for cylinders (roundness 0) and balls (1) of these numbers [N]."""
    return lambda which, o, d: _round(o, d, roundness[which][:, None])


def _box(o: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
    """Return the distance at which rays o + t d enter the cube [-1, 1]^3, inf where they miss it: [n, R]."""
    speed = d.reciprocal()
    middle = speed * -o
    width = speed.abs_()
    near, far = middle - width, middle.add_(width)
    enter = torch.maximum(torch.maximum(near[:, 0], near[:, 1]), near[:, 2])
    leave = torch.minimum(torch.minimum(far[:, 0], far[:, 1]), far[:, 2])
    return enter.masked_fill_((enter > leave) | (enter < NEAR), float('inf'))


def _round(o: torch.Tensor, d: torch.Tensor, roundness: torch.Tensor) -> torch.Tensor:
    """Return the same for cylinders x^2 + y^2 <= 1, |z| <= 1 (roundness 0) and unit balls (1)."""
    dx, dy, dz = d.unbind(1)
    ox, oy, oz = o.unbind(1)
    wz = roundness * oz
    a = dx * dx
    a.addcmul_(dy, dy).addcmul_(dz * dz, roundness)
    b = (dx * ox).addcmul_(dy, oy).addcmul_(dz, wz)
    c = ox * ox + oy * oy + wz * oz - 1
    root = (b * b).addcmul_(a, c, value=-1)
    miss = root < 0
    root = root.clamp_(min=0).sqrt_()
    inverse = a.clamp_(min=1e-12).reciprocal_()
    enter, leave = (-b - root).mul_(inverse), (root - b).mul_(inverse)
    speed = dz.reciprocal()
    middle = speed * -oz
    width = speed.abs_()
    enter = torch.maximum(enter, middle - width)
    leave = torch.minimum(leave, middle + width)
    return enter.masked_fill_(miss | (enter > leave) | (enter < NEAR), float('inf'))


def meet_ground(relief: Relief, rays: torch.Tensor, corners: torch.Tensor, weights: torch.Tensor,
                eye: torch.Tensor) -> torch.Tensor:
    """Return the depth at which rays meet the road's height field, inf where never: [F * T, R].

    :param rays, corners: directions in world axes, z = 1 in the camera's [F * T, 3, R], [F * T, 3, 4]
    :param weights: to interpolate from a tile's corners [4, R]
    :param eye: the camera for each tile [F * T, 3]
    """
    tiles, many = len(rays), rays.shape[2]
    start = _march(relief, corners.transpose(1, 2).reshape(-1, 3), eye.repeat_interleave(4, 0)).view(-1, 4)
    inverse = start.reciprocal()                                     # 0 where the ground is never met
    touched = ((inverse > 0).any(1) | (corners[:, 2].amin(1) < 0)).nonzero()[:, 0]
    depth = torch.full((tiles, many), float('inf'), device=rays.device)
    guess = inverse[touched].clamp(min=1 / FARTHEST)
    t = sum(guess[:, k:k + 1] * weights[k] for k in range(4)).reciprocal_()
    (dx, dy, dz), (ex, ey, ez) = rays[touched].unbind(1), eye[touched].t()[..., None]

    def above(t):
        return (t * dz).add_(ez).sub_(relief.torch_height((t * dx).add_(ex), (t * dy).add_(ey)))
    step = t * 0.02 + 0.05
    height = above(t)
    fall = (height - above(t + step)).div_(step).clamp_(min=1e-4)
    for _ in range(3):      # secant steps
        further = (t + height / fall).clamp_(0.2, 2 * FARTHEST)
        now = above(further)
        steep = (height - now) / (further - t)
        fall = torch.where((steep > 1e-4) & ((further - t).abs() > 1e-3), steep, fall)
        t, height = further, now
    unsure = (height.abs() > 0.001 * (1 + 0.02 * t)).nonzero(as_tuple=True)
    if len(unsure[0]):
        again = torch.stack([dx[unsure], dy[unsure], dz[unsure]], -1)
        t[unsure] = _march(relief, again, eye[touched][unsure[0]], refine=14)
    depth[touched] = t.masked_fill_(t > FARTHEST, float('inf'))
    return depth


def _march(relief: Relief, rays: torch.Tensor, eye: torch.Tensor, steps: int = 40, refine: int = 4) -> torch.Tensor:
    """Walk along rays [N, 3] from eyes [N, 3] until they dip below the ground, then bisect."""
    (dx, dy, dz), (ex, ey, ez) = rays.t()[..., None], eye.t()[..., None]

    def below(t):
        return t * dz + ez < relief.torch_height(t * dx + ex, t * dy + ey)
    t = torch.logspace(0.0, 2.96, steps).to(rays.device)
    under = below(t)
    found, first = under.any(1, keepdim=True), under.int().argmax(1, keepdim=True)
    low, high = t[(first - 1).clamp(min=0)] * (first > 0), t[first]
    for _ in range(refine):
        middle = (low + high) / 2
        inside = below(middle)
        low, high = torch.where(inside, low, middle), torch.where(inside, middle, high)
    return torch.where(found, (low + high) / 2, float('inf'))[:, 0]
