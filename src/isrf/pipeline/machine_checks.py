"""What this machine has for ISRF: versions, cores, memory, limits, embedded defaults. Changes nothing."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec

from isrf.core import assets
from isrf.core.files import is_there
from isrf.core.process_limits import limits, remedy
from isrf.core.provenance import installed_versions
from isrf.core.shell import setting


@dataclass(frozen=True)
class Check:
    """One thing looked at: its name, what was found, and what to do where it is not well ("" = well)."""

    name: str
    found: str
    remedy: str = ""


def examine() -> list[Check]:
    """Look at everything a run can need; at the limits alone where libraries could not be loaded within them."""
    bounds = limit_checks()
    if any(check.remedy for check in bounds):
        return bounds
    import torch

    from isrf.evaluation.text_scores import NEEDED
    from isrf.semantics.encode import fast_bfloat16

    versions = installed_versions()
    right_python = (3, 11) <= sys.version_info[:2] <= (3, 13)
    checks = [
        Check("python", versions["python"], "" if right_python else "use Python 3.11, 3.12 or 3.13"),
        Check("isrf", versions["isrf"]),
        *(Check(name, found) for name, found in versions.items() if name not in ("python", "isrf")),
        Check("cores", str(os.cpu_count())),
        Check("memory", memory()),
        *bounds,
        Check("accelerator", torch.cuda.get_device_name() if torch.cuda.is_available() else "none: runs on the CPU"),
        Check("fast bfloat16", "yes" if fast_bfloat16() else "no: float32, about three times as slow"),
    ]
    local = find_spec("xllamacpp") is not None
    checks.append(
        Check(
            "local language model",
            "xllamacpp is installed" if local else f"absent; needed by {setting('reasoning.supplier', 'local')} only",
        )
    )
    scored = all(find_spec(name) is not None for name in NEEDED)
    checks.append(
        Check(
            "scores of explanations",
            "BLEU and ROUGE" if scored else "absent; needed where a source has explanation.json",
        )
    )
    extras = {"charts": (("altair", "vl_convert"), "report"), "TensorBoard": (("tensorboard",), "tracking")}
    extras["MLflow"] = (("mlflow",), "mlflow")
    for name, (packages, extra) in extras.items():
        there = all(find_spec(package) is not None for package in packages)
        checks.append(Check(name, "installed" if there else f"absent; pip install 'isrf[{extra}]' brings it"))
    for name in assets.ASSETS:
        there = assets.available(name)
        checks.append(Check(f"asset {name}", "in the cache" if there else "is fetched when first needed"))
    cache = assets.cache_folder()
    parent = next(p for p in (cache, *cache.parents) if is_there(p))
    writable = parent.is_dir() and os.access(parent, os.W_OK)
    checks.append(Check("cache", str(cache), "" if writable else "not writable: set ISRF_CACHE to a folder that is"))
    checks.append(agreement_check())
    return checks


def agreement_check() -> Check:
    """Where questions and keys of any workspace may go without being asked for, and whether more can be kept."""
    from isrf.reasoning.llm import consent

    home = consent.config_folder()
    if home is None:
        return Check(
            "agreements", "none", "no home folder: addresses have to be given each time; set ISRF_CONFIG to a folder"
        )
    folder = home / consent.AGREED
    addresses = sorted({terms.address or "a local model" for terms in consent.known()})
    parent = next(p for p in (folder, *folder.parents) if is_there(p))
    kept = parent.is_dir() and os.access(parent, os.W_OK)
    to_do = "" if kept else "not writable: addresses have to be given each time; set ISRF_CONFIG to a folder that is"
    return Check("agreements", f"{', '.join(addresses) or 'none'} (in {folder})", to_do)


def limit_checks() -> list[Check]:
    """The limits of this process; those under which `isrf run` cannot start have a remedy."""
    found = []
    for limit in limits("run"):
        needed = "" if limit.enough else f"; isrf run needs about {limit.amount(limit.needed)}"
        mended = "" if limit.enough or not limit.hard else remedy(limit)
        found.append(Check(f"limit of {limit.what}", limit.told().partition(": ")[2] + needed, mended))
    return found or [Check("limits", "none of address space, threads or memory")]


def memory() -> str:
    """Physical memory, GB."""
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GB"
    except (ValueError, OSError, AttributeError):
        return "unknown"
