"""From a model's bytes to a verified program: what comes out is right, whole and told honestly, also where nothing can be compiled or run."""

import io
import json
import shutil
import zipfile

import numpy as np
import pytest

from core.compiler import compile_model as verb
from core.compiler import toolchain
from core.compiler.compile_model import compile_model, files_of, refusal, report
from core.compiler.config import CompilerConfig, shapes_of
from core.compiler.graph import CompileError
from core.compiler.verify import Verified, inputs_of
from core.errors import Cancelled, ConfigError, EngineError
from core.exhibit import configure
from core.ran.result_cache import Cache
from tests.core.compiler import nets

needs_compiler = pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler here")
RULES = CompilerConfig(target="scalar", effort="rules")
HOSTILE = 'net*/ #include "/etc/passwd"\n;'


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A small model compiled, verified and timed, the folder it was compiled in and the cache it filled."""
    folder = tmp_path_factory.mktemp("compiled")
    messages = []
    with Cache(folder / "kernels.sqlite") as cache:
        made = compile_model(nets.data(nets.mlp()), HOSTILE, RULES, lambda share, text: messages.append((share, text)), folder, cache)
    return made, messages, folder


@needs_compiler
def test_the_program_computes_what_the_model_says(compiled):
    made, _, _ = compiled
    inputs = inputs_of(made.program.inputs, "structured")
    called = toolchain.call(made.built, {made.program.name: inputs})[made.program.name]
    np.testing.assert_allclose(called.outputs[0], nets.reference(nets.mlp(), {"x": inputs[0]})[0], rtol=1e-5, atol=1e-6)
    assert made.verified.passed and made.verified.max_relative_error < 1e-6 and made.verified.allocations == 0 and made.timing.best_us > 0


@needs_compiler
def test_progress_rises_and_every_stage_has_its_seconds(compiled):
    made, messages, _ = compiled
    shares = [share for share, _ in messages]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1
    assert list(made.seconds) == ["read", "normalise", "candidates", "measure", "write", "compile", "verify", "time"]


@needs_compiler
def test_the_report_and_the_files_say_what_was_done(compiled):
    made, _, _ = compiled
    told = json.loads(json.dumps(report(made, {"onnxruntime": {"best": 2.0, "median": 2.1, "p999": 3.0, "worst": 9.0}}, 0.5)))
    assert set(told["latency_us"]) == {"ours", "onnxruntime"} and set(told["latency_us"]["ours"]) == {"best", "median", "p999", "worst"}
    assert told["limit_us"] == 0.5 and told["max_abs_error"] == made.verified.max_abs_error and told["within_budget"] is made.within_budget
    assert [c["candidate"] for c in told["candidates"]] == ["all rules", "no rules"] and told["candidates"][0]["chosen"]
    assert told["mapping"]["model_sha256"] == made.sha256 and told["refused"] == [] and told["verified"]["passed"]
    files = files_of(made, told)
    name = made.program.name
    assert set(files) == {f"{name}.cpp", f"{name}.h", f"{name}.bundle.zip", "report.json"} and json.loads(files["report.json"]) == told
    packed = zipfile.ZipFile(io.BytesIO(files[f"{name}.bundle.zip"]))
    recorded = np.frombuffer(packed.read(f"{name}/recorded.outputs"), np.float32)
    inputs = np.frombuffer(packed.read(f"{name}/recorded.inputs"), np.float32).reshape(1, 6)
    np.testing.assert_allclose(recorded, nets.reference(nets.mlp(), {"x": inputs})[0].ravel(), rtol=1e-5, atol=1e-6)


@needs_compiler
def test_a_hostile_name_never_leaves_a_comment_or_becomes_an_include(compiled):
    made, _, _ = compiled
    lines = [line for line in made.program.cpp.splitlines() if "etc/passwd" in line]
    assert made.program.name.isidentifier() and lines and all(line.startswith("//") and "*/" not in line and '"' not in line for line in lines)


@needs_compiler
def test_the_second_time_nothing_is_verified_or_timed_again(compiled, monkeypatch):
    made, _, folder = compiled
    for name in ("verify",):
        monkeypatch.setattr(verb, name, lambda *_, **__: pytest.fail("it was verified before"))
    monkeypatch.setattr(toolchain, "compile_program", lambda *_, **__: pytest.fail("nothing is left to compile"))
    with Cache(folder / "kernels.sqlite") as cache:
        again = compile_model(nets.data(nets.mlp()), HOSTILE, RULES, cache=cache)
    assert again.verified == made.verified and again.timing == made.timing and again.program == made.program and again.built is None


def test_without_a_compiler_the_file_is_written_and_the_report_says_that_nothing_was_tried(monkeypatch, tmp_path):
    def missing():
        raise EngineError("There is no C++ compiler here: install g++.")
    monkeypatch.setattr(toolchain, "compiler", missing)
    with Cache(tmp_path / "kernels.sqlite") as cache:
        made = compile_model(nets.data(nets.mlp()), "net", CompilerConfig(), cache=cache)
    told = report(made)
    assert made.verified is None and made.timing is None and "no C++ compiler here" in made.notes[0]
    assert told["latency_us"] == {} and told["max_abs_error"] is None and told["within_budget"] is None and told["compiler"] is None
    assert len(files_of(made, told)) == 4 and made.choice.candidate.name == "all rules"


def test_a_target_this_processor_lacks_is_written_but_not_run(monkeypatch, tmp_path):
    monkeypatch.setattr(toolchain, "targets", lambda: (toolchain.TARGETS["scalar"],))
    monkeypatch.setattr(toolchain, "compiler", lambda: toolchain.Compiler("g++", "g++", "g++"))
    with Cache(tmp_path / "kernels.sqlite") as cache:
        made = compile_model(nets.data(nets.mlp()), "net", CompilerConfig(target="avx512"), cache=cache)
    assert made.program.target.name == "avx512" and made.timing is None and "does not run avx512" in made.notes[0]


def test_a_wrong_program_is_never_handed_out(monkeypatch, tmp_path):
    bad = Verified((), ("On random inputs the result differs.",), (), (), 0, False, False)
    monkeypatch.setattr(verb, "verify", lambda *_, **__: bad)
    monkeypatch.setattr(toolchain, "compile_program", lambda *_, **__: None)
    monkeypatch.setattr(toolchain, "compiler", lambda: toolchain.Compiler("g++", "g++", "g++"))
    with Cache(tmp_path / "kernels.sqlite") as cache, pytest.raises(EngineError, match="does not compute what the model says: On random inputs"):
        compile_model(nets.data(nets.mlp()), "net", RULES, cache=cache)


def test_a_wish_to_stop_ends_the_compilation(tmp_path):
    def stop(share, message):
        if share >= 0.03:
            raise Cancelled("stop")
    with Cache(tmp_path / "kernels.sqlite") as cache, pytest.raises(Cancelled):
        compile_model(nets.data(nets.mlp()), "net", RULES, stop, cache=cache)


def test_a_refused_model_has_a_report_too():
    told = refusal("net", b"x", CompileError("The node Foo is unknown."))
    assert told["refused"][0]["reason"] == "The node Foo is unknown." and len(told["model"]["sha256"]) == 64


# ---------------------------------------------------------------- settings

def test_shapes_are_read_from_the_setting():
    assert shapes_of(CompilerConfig(shapes="x=1x14x24, a=b=3, s=scalar")) == {"x": (1, 14, 24), "a=b": (3,), "s": ()}
    for wrong in ("x", "x=", "=1x2", "x=1x", "x=0x2", "x=ax2", "x=-1"):
        with pytest.raises(ConfigError, match="NAME=AxBxC"):
            shapes_of(CompilerConfig(shapes=wrong))


def test_settings_are_checked_like_those_of_every_exhibit():
    assert configure(CompilerConfig, {"target": "avx2", "budget_us": "250"}) == CompilerConfig(target="avx2", budget_us=250.0)
    for wrong in ({"target": "sse"}, {"budget_us": 0}, {"effort": "huge"}, {"speed": 1}):
        with pytest.raises(ConfigError):
            configure(CompilerConfig, wrong)
