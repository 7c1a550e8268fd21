"""Which kernels run here: compiled ones where they must be, twins with the same names and signatures elsewhere."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cython_ext
from cython_ext import reference

ROOT = Path(__file__).resolve().parents[2]
REQUIRED = os.environ.get("CI", "").lower() in ("1", "true") or os.environ.get("VITRINE_REQUIRE_KERNELS") == "1"


def test_compiled_kernels_are_there_where_they_are_required():
    if cython_ext.MISSING and not REQUIRED:
        pytest.skip(f"NumPy twins run here: {cython_ext.MISSING}")
    assert cython_ext.MISSING == {} and cython_ext.BACKEND == "compiled"


def test_every_pyx_has_its_twins_listed():
    assert {path.stem for path in (ROOT / "cython_ext").glob("*.pyx")} == set(reference.KERNELS)


@pytest.mark.parametrize("name", [name for names in reference.KERNELS.values() for name in names])
def test_kernel_and_twin_have_one_signature(name):
    if name in cython_ext.MISSING:
        pytest.skip(cython_ext.MISSING[name])
    compiled, twin = (inspect.signature(module).parameters.values() for module in (getattr(cython_ext, name), getattr(reference, name)))
    assert [(p.name, p.default) for p in compiled] == [(p.name, p.default) for p in twin]


def python(code: str, **environment: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "VITRINE_KERNELS": "", **environment}, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_twins_can_be_asked_for():
    out = python("import cython_ext as k, sys; print(k.BACKEND, k.label_regions.__module__, len(k.MISSING), 'cython_ext.labelling' in sys.modules)",
                 VITRINE_KERNELS="numpy")
    assert out.split() == ["numpy", "cython_ext.reference", str(sum(map(len, reference.KERNELS.values()))), "False"]


def test_a_missing_module_is_named_and_its_twin_runs():
    out = python("import sys; sys.modules['cython_ext.labelling'] = None\n"
                 "import cython_ext as k; print(k.BACKEND, k.label_regions.__module__, 'python -m cython_ext.build' in k.MISSING['label_regions'])")
    assert out.split() == ["numpy", "cython_ext.reference", "True"]


def test_a_stale_build_without_a_kernel_is_named():
    out = python("import sys, types; sys.modules['cython_ext.labelling'] = types.ModuleType('cython_ext.labelling')\n"
                 "import cython_ext as k; print(k.BACKEND, 'does not fit' in k.MISSING['label_regions'])")
    assert out.split() == ["numpy", "True"]
