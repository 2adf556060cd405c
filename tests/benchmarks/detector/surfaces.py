"""Surfaces to draw defects onto: grey levels (h, w), float32, 512 by 512, different every time."""

import numpy as np

from tests.benchmarks.detector.defects import Grey, Random, grid

SIDE = 512
SQUARE = (SIDE, SIDE)


def noise(random: Random, shape: tuple[int, int], *sigmas: float) -> Grey:
    """Return Gaussian noise band-passed between `sigmas` (fine, coarse), of unit spread."""
    values = random.standard_normal(shape).astype(np.float32)
    fine = blur(values, sigmas[0])
    result = fine - blur(values, sigmas[1]) if len(sigmas) > 1 else fine
    drawn: Grey = result / result.std()
    return drawn


def blur(values: Grey, sigma: float | tuple[float, float]) -> Grey:
    """Return `values` (h, w) under a periodic Gaussian; sigma in px, or (y, x)."""
    pair = sigma if isinstance(sigma, tuple) else (sigma, sigma)
    fy = np.fft.fftfreq(values.shape[0])[:, None]
    fx = np.fft.rfftfreq(values.shape[1])[None]
    gain = np.exp(-2 * np.pi**2 * ((fy * pair[0]) ** 2 + (fx * pair[1]) ** 2))
    return np.fft.irfft2(np.fft.rfft2(values) * gain, values.shape).astype(np.float32)


def fine_noise(random: Random) -> Grey:
    """Return grain."""
    return 128 + 22 * noise(random, SQUARE, 1.2, 4)


def coarse_noise(random: Random) -> Grey:
    """Return clouds with grain."""
    return 120 + 25 * noise(random, SQUARE, 6, 20) + 8 * noise(random, SQUARE, 0.8)


def brushed(random: Random) -> Grey:
    """Return brushed metal."""
    streaks = blur(random.standard_normal(SQUARE).astype(np.float32), (0.7, 30))
    drawn: Grey = 130 + 18 * streaks / streaks.std() + 5 * noise(random, SQUARE, 0.7)
    return drawn


def weave(random: Random) -> Grey:
    """Return cloth: two waves crossing, jittered."""
    y, x = grid(SQUARE)
    y, x = y + 3 * noise(random, SQUARE, 30), x + 3 * noise(random, SQUARE, 30)
    phase = random.uniform(0, 2 * np.pi, 2)
    waves = np.sin(x * 0.55 + phase[0]) * np.sin(y * 0.5 + phase[1])
    drawn: Grey = 128 + 30 * waves + 8 * noise(random, SQUARE, 0.8)
    return drawn


def stripes(random: Random) -> Grey:
    """Return slanted stripes, wavy."""
    y, x = grid(SQUARE)
    wave = (x + 0.4 * y) * 0.3 + 1.2 * noise(random, SQUARE, 25) + random.uniform(0, 6)
    return 125 + 28 * np.sin(wave) + 10 * noise(random, SQUARE, 1)


def cells(random: Random) -> Grey:
    """Return rounded cells, by thresholded noise."""
    edges = np.abs(noise(random, SQUARE, 5, 12))
    return 90 + 70 * np.clip(edges, 0, 1) + 8 * noise(random, SQUARE, 0.8)


def marble(random: Random) -> Grey:
    """Return veins."""
    y, x = grid(SQUARE)
    veins = np.abs(np.sin(0.02 * (x + y) + 2 * noise(random, SQUARE, 18)))
    drawn: Grey = 150 + 35 * veins**0.5 - 20 + 7 * noise(random, SQUARE, 1, 3)
    return drawn


def leather(random: Random) -> Grey:
    """Return wrinkles."""
    return 110 + 30 * np.tanh(noise(random, SQUARE, 2.5, 6)) + 6 * noise(random, SQUARE, 0.7)


def dots(random: Random) -> Grey:
    """Return a jittered lattice of dots."""
    y, x = grid(SQUARE)
    y, x = y + 2 * noise(random, SQUARE, 12), x + 2 * noise(random, SQUARE, 12)
    phase = random.uniform(0, 2 * np.pi, 2)
    lattice = np.cos(x * 0.35 + phase[0]) + np.cos(y * 0.35 + phase[1])
    drawn: Grey = 120 + 45 * (lattice > 1) + 9 * noise(random, SQUARE, 0.9)
    return drawn


def speckle(random: Random) -> Grey:
    """Return multiplicative speckle on a gradient."""
    y, x = grid(SQUARE)
    slope = random.normal(0, 0.03, 2)
    drawn: Grey = (125 + slope[0] * (y - 256) + slope[1] * (x - 256)) * np.exp(
        0.2 * noise(random, SQUARE, 1.5)
    )
    return drawn
