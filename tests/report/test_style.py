import re

from cobrarec.report.style import STYLE


def test_every_color_has_a_value_for_light_and_for_dark() -> None:
    light, dark = (
        STYLE.split("@media (prefers-color-scheme: dark)")[0],
        STYLE.split("@media (prefers-color-scheme: dark)")[1].split("}\n}")[0],
    )
    names = set(re.findall(r"(--[\w-]+):", light))
    assert names == set(re.findall(r"(--[\w-]+):", dark))
    assert set(re.findall(r"var\((--[\w-]+)", STYLE)) - {"--share"} == names


def test_text_and_marks_stand_out_from_the_ground_in_both_schemes() -> None:
    schemes = STYLE.split("@media (prefers-color-scheme: dark)")
    for scheme in (schemes[0], schemes[1].split("}\n}")[0]):
        color = dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", scheme))
        for name, least in (
            ("--ink", 7.0),
            ("--quiet", 4.5),
            ("--accent", 4.5),
            ("--s0", 3.0),
            ("--s1", 3.0),
            ("--s2", 3.0),
            ("--s3", 3.0),
        ):
            assert contrast(color[name], color["--card"]) >= least, name
            assert contrast(color[name], color["--ground"]) >= least, name
        assert contrast(color["--warn"], color["--warn-ground"]) >= 4.5


def contrast(first: str, second: str) -> float:
    """Contrast ratio of WCAG 2, 1 to 21."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    channels = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
