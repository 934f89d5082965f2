"""Ray casting: which primitive every ray meets first, and how far away; and where rays meet the ground."""
from __future__ import annotations

import torch

from semdepth_ros.world.relief import Relief
from semdepth_ros.world.tiles import NEAR, Candidates, TileGrid

CPU_CHUNK, GPU_CHUNK = 192, 1 << 16     # tiles worked on at once: small enough for the processor's cache
FARTHEST = 900.0                        # ground beyond this is sky [m]


def cast(grid: TileGrid, boxes: Candidates, rounds: Candidates, matrix: torch.Tensor, origin: torch.Tensor,
         roundness: torch.Tensor, depth: torch.Tensor, index: torch.Tensor) -> None:
    """Bring depth and index up to date with every primitive that is nearer.

    :param matrix, origin: camera axes to unit shapes [N, 3, 3], [N, 3]
    :param roundness: 1 for an ellipsoid, 0 for a cylinder [N]
    :param depth: nearest depth so far along Z [F * T, R], changed in place
    :param index: number of the primitive met, changed in place
    """
    for lists, kind in ((boxes, 'box'), (rounds, 'round')):
        counts = lists.count[lists.order].cpu()
        active = int((counts > 0).sum())
        chunk = CPU_CHUNK if depth.device.type == 'cpu' else GPU_CHUNK
        for first in range(0, active, chunk):
            part = slice(first, min(first + chunk, active))
            tiles, many = lists.order[part], counts[part]
            rays, t, best = grid.directions[tiles % grid.tiles], depth[tiles], index[tiles]
            start = lists.start[tiles]
            below = torch.searchsorted(-many, -torch.arange(int(many[0])))      # tiles with more than k candidates
            for k in range(int(many[0])):
                n = int(below[k])
                which = lists.primitive[start[:n] + k]
                d = torch.bmm(matrix[which], rays[:n])
                o = origin[which][..., None]
                hit = _box(o, d) if kind == 'box' else _round(o, d, roundness[which][:, None])
                closer = hit < t[:n]
                t[:n] = torch.where(closer, hit, t[:n])
                best[:n] = torch.where(closer, which[:, None], best[:n])
            depth[tiles], index[tiles] = t, best


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


def meet_ground(grid: TileGrid, relief: Relief, rotation: torch.Tensor, eye_height: float) -> torch.Tensor:
    """Return the depth at which the rays of one frame meet the road's height field, inf where never: [T, R].

    :param relief: shifted so that the camera is over (0, 0)
    :param rotation: camera axes to world [3, 3]
    :param eye_height: height of the camera above datum
    """
    corners = grid.corners.reshape(-1, 3) @ rotation.T
    start = _march(relief, corners, eye_height).view(-1, 4)
    inverse = start.reciprocal()                                     # 0 where the ground is never met
    touched = ((inverse > 0).any(1) | (grid.corners @ rotation.T)[..., 2].amin(1).lt(0.0)).nonzero()[:, 0]
    depth = torch.full((grid.tiles, grid.weights.shape[1]), float('inf'), device=rotation.device)
    t = (inverse[touched].clamp(min=1 / FARTHEST) @ grid.weights).reciprocal_()
    rays = grid.directions[touched]
    dx, dy, dz = (rotation @ rays).unbind(1)
    dx, dy, dz = dx.contiguous(), dy.contiguous(), dz.contiguous()
    fall = None
    for _ in range(3):
        above = (t * dz).add_(eye_height).sub_(relief.torch_height(t * dx, t * dy))
        if fall is None:
            step = t * 0.02 + 0.05
            ahead = t + step
            fall = (above - (ahead * dz).add_(eye_height).sub_(relief.torch_height(ahead * dx, ahead * dy))).div_(step)
            fall.clamp_(min=1e-4)
        t = (t + above / fall).clamp_(0.2, 2 * FARTHEST)
    above = (t * dz).add_(eye_height).sub_(relief.torch_height(t * dx, t * dy)).abs_()
    unsure = (above > 0.004 * (1 + 0.02 * t)).nonzero(as_tuple=True)
    if len(unsure[0]):
        again = torch.stack([dx[unsure], dy[unsure], dz[unsure]], -1)
        t[unsure] = _march(relief, again, eye_height, refine=14)
    depth[touched] = t.masked_fill_(t > FARTHEST, float('inf'))
    return depth


def _march(relief: Relief, rays: torch.Tensor, eye_height: float, steps: int = 40, refine: int = 4) -> torch.Tensor:
    """Walk along rays [N, 3] until they dip below the ground, then bisect."""
    t = torch.logspace(0.0, 2.96, steps, device=rays.device)
    x, y, z = (r[:, None] * t for r in rays.unbind(1))
    below = z + eye_height < relief.torch_height(x, y)
    found, first = below.any(1), below.int().argmax(1)
    low, high = t[(first - 1).clamp(min=0)] * (first > 0), t[first]
    for _ in range(refine):
        middle = (low + high) / 2
        inside = middle * rays[:, 2] + eye_height < relief.torch_height(middle * rays[:, 0], middle * rays[:, 1])
        low, high = torch.where(inside, low, middle), torch.where(inside, middle, high)
    return torch.where(found, (low + high) / 2, float('inf'))
