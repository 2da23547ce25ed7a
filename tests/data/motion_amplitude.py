"""Writes motion_amplitude.json: HeliosBench's motion amplitude of drawn videos, by OpenCV's Python package, for
tests/media/motion_amplitude_test.cpp.

    pip install opencv-python-headless==4.11.0.86 && python3 motion_amplitude.py > motion_amplitude.json
"""
import json

import cv2
import numpy

WIDTH, FLOW_WIDTH = 640, 16


def drawn_video(frames, height, width, right, down):
    """Waves of parabolas that move by whole pixels, in three colors. Shape: [frames, height, width, 3] uint8."""
    t, y, x = numpy.mgrid[:frames, :height, :width]
    x, y = x - right * t + 1000, y - down * t + 1000
    wave = ((7 * x + 2 * y) % 126 - 63) ** 2 // 40 + ((3 * x - 11 * y + 99000) % 132 - 66) ** 2 // 44
    return numpy.stack([wave, wave + 50, 200 - wave], axis=3).astype(numpy.uint8)


def motion_amplitude(video):
    """Frames to a width of 640, an even height; the mean of Farneback's flow over components, places, frames."""
    height = round(int(WIDTH * video.shape[1] / video.shape[2]) / 2) * 2
    grays = [cv2.cvtColor(cv2.resize(frame, (WIDTH, height)), cv2.COLOR_RGB2GRAY) for frame in video]
    maps = []
    for before, after in zip(grays, grays[1:]):
        flow = cv2.calcOpticalFlowFarneback(before, after, None, pyr_scale=0.5, levels=3, winsize=15, iterations=3,
                                            poly_n=5, poly_sigma=1.2, flags=0)
        size = (FLOW_WIDTH, int(flow.shape[0] * (FLOW_WIDTH / flow.shape[1])))
        maps.append(cv2.resize(flow, size, interpolation=cv2.INTER_AREA))
    return abs(float(numpy.mean(maps)))


if __name__ == "__main__":
    values = []
    for frames, height, width, right, down in [(4, 96, 160, 1, 0), (3, 90, 160, -2, 1), (3, 72, 90, 1, 2)]:
        video = drawn_video(frames, height, width, right, down)
        values.append({"frames": frames, "height": height, "width": width, "right": right, "down": down,
                       "sum": int(video.sum(dtype=int)), "motion_amplitude": motion_amplitude(video)})
    print(json.dumps({"opencv": cv2.__version__, "values": values}, indent=1))
