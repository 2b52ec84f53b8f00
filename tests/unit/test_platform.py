"""Platforms: their spellings, and what runs where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import InvalidPlatformError
from headway.oci.platform import Platform, is_satisfied_by, rank

words = st.from_regex(r"[A-Za-z0-9_.-]{1,8}", fullmatch=True)
systems = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True) | st.sampled_from(["linux", "windows", "macos"])
architectures = words | st.sampled_from(["amd64", "x86_64", "i386", "arm", "armhf", "armel", "arm64", "aarch64"])
variants = st.just("") | words | st.from_regex(r"v?[0-9](\.[0-9])?", fullmatch=True)
platforms = st.builds(Platform, systems, architectures, variants)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("Linux/X86_64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64"),
        ("linux/i386", "linux/386"),
        ("linux/i386/v2", "linux/386"),
        ("linux/arm64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v8.0", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/9", "linux/arm64/v9"),
        ("linux/arm64/v8.2", "linux/arm64/v8.2"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/arm/v5", "linux/arm/v5"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/unheard-of", "linux/unheard-of"),
        ("macos/arm64", "darwin/arm64"),
        ("arm64", "linux/arm64"),
        ("aarch64", "linux/arm64"),
        ("x86_64", "linux/amd64"),
        ("armhf", "linux/arm/v7"),
        ("s390x", "linux/s390x"),
        ("windows(10.0.17763)/amd64", "windows/amd64"),
    ],
)
def test_every_spelling_has_one_normal_form(text: str, expected: str) -> None:
    platform = Platform.parse(text)

    assert str(platform) == expected


def test_a_windows_version_is_kept() -> None:
    platform = Platform.parse("windows(10.0.17763)/amd64")

    assert platform.os_version == "10.0.17763"


@pytest.mark.parametrize(
    ("text", "expected"), [("linux", "linux/arm/v6"), ("arm64", "freebsd/arm64"), ("windows", "windows/arm/v6")]
)
def test_the_host_fills_in_what_a_single_word_leaves_open(text: str, expected: str) -> None:
    host = Platform("freebsd", "arm", "v6")

    platform = Platform.parse(text, host)

    assert str(platform) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a platform: it must be os/architecture[/variant]"),
        ("/", "'/' is not a platform: it must be os/architecture[/variant]"),
        ("linux/", "'linux/' is not a platform: it must be os/architecture[/variant]"),
        ("linux/*", "'linux/*' is not a platform: it must be os/architecture[/variant]"),
        ("linux/arm/v7/x", "'linux/arm/v7/x' is not a platform: it must be os/architecture[/variant]"),
        ("linux/arm64\n", "'linux/arm64\\n' is not a platform: it must be os/architecture[/variant]"),
        ("foo", "'foo': unknown operating system or architecture"),
        ("linux", "'linux' names no architecture: write linux/amd64 or the like"),
    ],
)
def test_what_is_no_platform_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidPlatformError) as caught:
        Platform.parse(text)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("x86_64", "linux/amd64"),
        ("i686", "linux/386"),
        ("aarch64", "linux/arm64"),
        ("armv5tejl", "linux/arm/v5"),
        ("armv6l", "linux/arm/v6"),
        ("armv7l", "linux/arm/v7"),
        ("armv8l", "linux/arm/v8"),
        ("riscv64", "linux/riscv64"),
        ("loongarch64", "linux/loong64"),
        ("mips64el", "linux/mips64le"),
        ("sw_64", "linux/sw_64"),
    ],
)
def test_a_machine_is_named_as_go_names_it(machine: str, expected: str) -> None:
    platform = Platform.of_machine(machine)

    assert str(platform) == expected


def test_programs_of_32_bits_on_a_kernel_of_64_want_images_of_32() -> None:
    assert str(Platform.of_machine("aarch64", bits=32)) == "linux/arm/v7"
    assert str(Platform.of_machine("x86_64", bits=32)) == "linux/386"
    assert str(Platform.of_machine("armv7l", bits=32)) == "linux/arm/v7"


@given(platforms)
def test_a_printed_platform_reads_as_its_normal_form(platform: Platform) -> None:
    assert Platform.parse(str(platform)) == platform.normal()


@given(platforms)
def test_the_normal_form_of_a_normal_form_is_itself(platform: Platform) -> None:
    normal = platform.normal()

    assert normal.normal() == normal


@given(st.text())
def test_any_text_is_a_platform_or_refused(text: str) -> None:
    try:
        platform = Platform.parse(text)
    except InvalidPlatformError:
        return

    assert platform == platform.normal()


@pytest.mark.parametrize(
    ("wanted", "best_first"),
    [
        ("linux/amd64", ["linux/amd64", "linux/386"]),
        ("linux/amd64/v3", ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386"]),
        ("linux/386", ["linux/386"]),
        ("linux/arm/v7", ["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]),
        ("linux/arm/v5", ["linux/arm/v5"]),
        ("linux/arm64", ["linux/arm64", "linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]),
        ("linux/arm64/v8.2", ["linux/arm64/v8.2", "linux/arm64/v8.1", "linux/arm64", "linux/arm/v7"]),
        (
            "linux/arm64/v9.1",
            ["linux/arm64/v9.1", "linux/arm64/v9", "linux/arm64/v8.6", "linux/arm64/v8.5", "linux/arm64"],
        ),
        ("linux/arm64/v9", ["linux/arm64/v9", "linux/arm64/v8.5", "linux/arm64/v8.1", "linux/arm64", "linux/arm"]),
        ("linux/arm64/other", ["linux/arm64/other", "linux/arm/v8"]),
        ("linux/riscv64", ["linux/riscv64"]),
    ],
)
def test_a_machine_prefers_what_was_built_for_the_nearest_variant(wanted: str, best_first: list[str]) -> None:
    ranks = [rank(Platform.parse(wanted), Platform.parse(offered)) for offered in best_first]

    assert ranks[0] == 0
    assert None not in ranks
    assert ranks == sorted(ranks, key=lambda number: -1 if number is None else number)
    assert len(set(ranks)) == len(ranks)


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        ("linux/amd64", "linux/amd64/v2"),
        ("linux/amd64", "linux/arm64"),
        ("linux/amd64", "windows/amd64"),
        ("linux/386", "linux/amd64"),
        ("linux/arm/v6", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm64"),
        ("linux/arm64", "linux/arm64/v9"),
        ("linux/arm64/v9", "linux/arm64/v8.6"),
        ("unknown/unknown", "unknown/unknown"),
        ("windows(10.0.17763.1)/amd64", "windows(10.0.14393.1)/amd64"),
        ("windows(10.0.17763.1)/amd64", "windows/amd64"),
    ],
)
def test_a_machine_does_not_take_what_it_may_not_run(wanted: str, offered: str) -> None:
    assert rank(Platform.parse(wanted), Platform.parse(offered)) is None


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        ("windows(10.0.17763.1)/amd64", "windows(10.0.17763.999)/amd64"),
        ("windows/amd64", "windows(10.0.17763)/amd64"),
        ("linux(5.10)/amd64", "linux(6.1)/amd64"),
    ],
)
def test_a_version_counts_on_windows_and_up_to_its_build(wanted: str, offered: str) -> None:
    assert rank(Platform.parse(wanted), Platform.parse(offered)) == 0


@given(platforms.filter(lambda platform: not platform.normal().is_unknown))
def test_every_platform_suits_itself_best(platform: Platform) -> None:
    assert rank(platform, platform) == 0


@pytest.mark.parametrize(
    ("wanted", "image", "expected"),
    [
        (Platform("linux", "arm", "v7"), Platform("linux", "arm", "v6"), True),
        (Platform("linux", "arm", "v6"), Platform("linux", "arm", "v7"), False),
        (Platform("linux", "arm", "v6"), Platform("linux", "arm"), True),
        (Platform("linux", "arm64"), Platform("linux", "arm64", "v8"), True),
        (Platform("linux", "arm64"), Platform("linux", "amd64"), False),
        (Platform("linux", "arm64"), Platform("windows", "arm64"), False),
    ],
)
def test_an_image_without_a_variant_suits_every_variant(wanted: Platform, image: Platform, *, expected: bool) -> None:
    assert is_satisfied_by(wanted, image) is expected
