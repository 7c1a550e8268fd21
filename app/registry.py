"""EXHIBITS: one row per exhibit. Navigation, gallery, command line, HTTP endpoints, history, benchmarks and the test list are derived from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

from core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Sample:
    """A built-in input: the word on its button, its file under assets/samples/, what it is, the file of its ground truth there, if known, and settings it brings along."""

    label: str
    file: str
    about: str
    truth: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict, hash=False)

    @property
    def path(self) -> Path:
        return ROOT / "assets" / "samples" / self.file

    @property
    def truth_path(self) -> Path:
        return ROOT / "assets" / "samples" / str(self.truth)


@dataclass(frozen=True)
class Headline:
    """The ruler of a card: the paper's figure (None: it states none) beside ours, which is read from assets/bench/SLUG.json.

    paper_text / paper   what the paper states, as words and as a number on the same scale as ours
    bench_key            dotted path into the bench's recorded result ("headline.value")
    scale                full length of the ruler
    unit                 small print under the ruler on the card
    differs              what differs between the paper's setting and ours (data, machine, size)
    """

    paper_text: str | None
    paper: float | None
    bench_key: str
    form: str
    scale: float
    unit: str
    differs: str


@dataclass(frozen=True)
class Exhibit:
    """One room of the house.

    core      a module with `Config`, `run(sources, config, progress) -> Outcome`, `inspect(source)` (a cheap check at upload) and `warm()`
    verb      the name of the HTTP endpoint
    figures   a module with `finding(view)`, `comparison(a, b, mode, px)` and `report(view)`: pure functions of a saved run
    on_page   settings every run from the page has (what the page shows beyond the files)
    optional_input  True where the settings alone make a run: no file is then a valid input
    blocks    a module of app.gradio_blocks with `build(exhibit)`: the exhibit's own widget
    widget    what the button that opens it says, with its icon; None where a page opens it otherwise
    records   True where a visitor may bring what the microphone hears
    """

    slug: str
    nav: str
    section: str
    name: str
    title: str
    sentence: str
    card: str
    page: str
    core: str
    verb: str
    accepts: tuple[str, ...]
    max_bytes: int
    max_files: int
    samples: tuple[Sample, ...]
    headline: Headline
    figures: str
    on_page: dict
    main_button: str
    input_word: str
    blocks: str | None = None
    widget: tuple[str, str] | None = None
    records: bool = False
    optional_input: bool = False

    def module(self) -> ModuleType:
        """The core module, imported when first needed (it may bring cv2, onnxruntime, torch)."""
        return import_module(self.core)


EXHIBITS: tuple[Exhibit, ...] = (
    Exhibit(
        slug="table", nav="Tables", section="See", name="Tables from pictures",
        title="A photograph in, a spreadsheet out",
        sentence="A small network writes the table’s structure token by token, flood fill finds ruled cells, the better of the two is taken, then each cell is read.",
        card="A picture of a table, with rules or without, becomes a table you can sort, correct and export.",
        page="pages/table.py", core="core.table.exhibit", verb="recognise",
        accepts=("png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "pdf"), max_bytes=25_000_000, max_files=20,
        samples=(
            Sample("Ruled", "superbike-1990.png", "A Wikipedia table with joined cells, drawn by a browser (CC BY-SA 4.0).", "superbike-1990.html"),
            Sample("Photo", "coins-photo.jpg", "A simulated photograph of a printed page: turned, shaded, blurred. Table from Wikipedia (CC BY-SA 4.0).", "coins-photo.html"),
            Sample("Fills", "data-gov.png", "A US government report: coloured fills, white gaps instead of rules."),
            Sample("No rules", "brel-songs.png", "Not a single line, and cells of two lines: the model reads it. From Wikipedia, drawn by a browser (CC BY-SA 4.0).", "brel-songs.html"),
            Sample("Three lines", "ambassadors.png", "Print style: three lines, cells joined without a rule. From Wikipedia, drawn by a browser (CC BY-SA 4.0).", "ambassadors.html"),
            Sample("Report", "item-format.png", "A US government report without vertical rules, which flood fill alone declines."),
        ),
        headline=Headline(
            paper_text="95.5 %", paper=95.5, bench_key="headline.system_teds_struct", form="{:.1f} %", scale=100,
            unit="structure score, TEDS, of 100",
            differs="Paper: PubTabNet, with which it was trained. Here: the whole system on Wikipedia tables drawn by a browser, ruled or not; none was trained on, but they were looked at while it was built."),
        figures="app.figures.table", on_page={"race": True}, main_button="Read the table", input_word="picture", blocks="app.gradio_blocks.editor", widget=("Crop or rotate first", ":material/crop_rotate:"),
    ),
    Exhibit(
        slug="dmimo", nav="Radio", section="Radio", name="Uplink combining",
        title="Share less, hear almost as well",
        sentence="Four radios hear the same eight phones. What each tells the centre decides how much gets through, and what it costs. Drag one and see.",
        card="Four radios hear the same phones. How much must each tell the centre? Drag them over a floor plan and sweep.",
        page="pages/dmimo.py", core="core.dmimo.exhibit", verb="sweep",
        accepts=("json",), max_bytes=1_000_000, max_files=1,
        samples=(
            Sample("The post’s regime", "dmimo-post.json", "Eight users close together in a hall with four radios: found by us so that the post’s six figures come out together."),
            Sample("Spread out", "dmimo-spread.json", "Eight users anywhere in the hall: every radio can tell them apart."),
            Sample("Independent", "dmimo-iid.json", "Independent fading at every antenna, more users than a radio has antennas."),
            Sample("Cell edge", "dmimo-cell-edge.json", "Four weak users in the middle, far from every radio."),
            Sample("Office", "dmimo-office.json", "Rooms behind walls, a concrete core, a user in most rooms."),
        ),
        headline=Headline(
            paper_text="72 %", paper=72, bench_key="headline.deqc_throughput_percent", form="{:.0f} %", scale=100,
            unit="of joint throughput at 15 % of the fronthaul",
            differs="Paper: its own simulation, no configuration printed. Here: simulated in a regime we searched for, measured on seeds not used in the search."),
        figures="app.figures.dmimo", on_page={}, main_button="Run the sweep", input_word="scenario", optional_input=True,
    ),
    Exhibit(
        slug="speech", nav="Speech", section="Hear", name="Speech out of noise and rooms",
        title="Hear the voice, not the room",
        sentence="Diffusion in a latent a sixteenth the size of the spectrogram restores speech at 48 kHz. Record, drop a file, or spoil a clean sample yourself.",
        card="A noisy or reverberant recording is restored in a small latent space, faster than it plays, and held against today’s tools.",
        page="pages/speech.py", core="core.speech.exhibit", verb="restore",
        accepts=("wav", "flac", "ogg", "mp3", "m4a", "aac", "webm", "mp4", "aif", "aiff"), max_bytes=200_000_000, max_files=10,
        samples=(
            Sample("Street", "speech/kerstin.flac", "A German voice that training never heard, up to 8 kHz (CC0), in a recorded street.", settings={"spoil": "street"}),
            Sample("Babble", "speech/kathleen.flac", "A full-band American voice (CC0; trained with), among eight others.", settings={"spoil": "babble"}),
            Sample("Tunnel", "speech/kerstin.flac", "The German voice in the measured response of a railway tunnel.", settings={"spoil": "tunnel"}),
            Sample("Telephone", "speech/kathleen.flac", "The American voice through a simulated old telephone.", settings={"spoil": "telephone"}),
        ),
        headline=Headline(
            paper_text=None, paper=None, bench_key="headline.end_to_end_times_cheaper", form="{:.0f}×", scale=20,
            unit="times cheaper than on the full spectrogram, 8 steps, to 20×",
            differs="The post’s tables are pictures and its models are larger, trained on a GPU with EARS. Here: the same network family in both domains at equal channels, one core."),
        figures="app.figures.speech", on_page={"compare": True, "latents": True}, main_button="Restore it", input_word="recording", records=True,
    ),
    Exhibit(
        slug="compiler", nav="Kernels", section="Compute", name="A compiler for small networks",
        title="A network in, its own C++ out",
        sentence="The graph is fused, every kernel is timed on this core, one C++ file is written, checked and raced against people and runtimes.",
        card="A radio’s neural network becomes one C++ file without a runtime, raced against hand-tuned code and ONNX Runtime.",
        page="pages/compiler.py", core="core.compiler.exhibit", verb="compile",
        accepts=("onnx",), max_bytes=50_000_000, max_files=1,
        samples=(
            Sample("Beams", "compiler/mlp_beam.onnx", "Three dense layers that score twelve beams: 6,540 weights. Random weights.", settings={"effort": "quick"}),
            Sample("Link", "compiler/mlp_la.onnx", "Link adaptation: three dense layers, 28,960 weights. Random weights."),
            Sample("Channel", "compiler/cnn_chest.onnx", "Channel estimation by four convolutions on 12 × 14 resource elements. Random weights."),
            Sample("Feedback", "compiler/tr_csi.onnx", "Channel feedback by one transformer layer on 14 tokens. Random weights."),
            Sample("Receiver", "compiler/cnn_deeprx.onnx", "A residual convolutional receiver on 14 × 72 resource elements: 113 million operations. Random weights."),
            Sample("Two layers", "compiler/tr_2x32.onnx", "Two transformer layers on 32 tokens, as the older exporter writes them. Random weights."),
        ),
        headline=Headline(
            paper_text="> 10×", paper=10, bench_key="headline.mlp_beam_over_openvino", form="{:.0f}×", scale=30,
            unit="times sooner than OpenVINO, smallest network, to 30×",
            differs="Paper: small networks under TVM and OpenVINO on an Intel server core. Here: the smallest of our six, one AMD core; on the larger networks the ratio is far smaller, as the race shows."),
        figures="app.figures.compiler", on_page={}, main_button="Compile and race", input_word="model",
    ),
    Exhibit(
        slug="handwriting", nav="Handwriting", section="Write", name="Joined handwriting",
        title="Letters drawn once, written joined",
        sentence="A small network finds where each letter may bend; one tridiagonal solve per pair bends them until they meet. Type, or bring your own letters.",
        card="A few letters from your pen become joined handwriting while you watch. Type a text, drag the weights, change one letter.",
        page="pages/handwriting.py", core="core.handwriting.exhibit", verb="compose",
        accepts=("json", "inkml", "svg"), max_bytes=4_000_000, max_files=1,
        samples=(
            Sample("School", "handwriting/school.json", "The round joined hand that schools teach. From a Hershey stroke font."),
            Sample("Allure", "handwriting/allure.json", "A narrow, leaning cursive hand. From the stroke font EMS Allure."),
            Sample("Felix", "handwriting/felix.json", "A brisk hand that joins some pairs and lifts between others. From the stroke font EMS Felix."),
            Sample("Tech", "handwriting/tech.json", "A draughtsman’s print: it keeps its pen lifts. From the stroke font EMS Tech."),
            Sample("Drawer 14", "handwriting/drawer-14.json", "Printed letters that somebody drew, with their timing. From Omniglot."),
        ),
        headline=Headline(
            paper_text="about 1 %", paper=1.0, bench_key="headline.crr_drop_points", form="{:.1f} points", scale=5,
            unit="of characters no longer read once the letters are joined, to 5",
            differs="Paper: character recognition by several engines, its own data. Here: two OCR engines for print, mean of six hands, of which three are print and lose nothing."),
        figures="app.figures.handwriting", on_page={"variants": 6}, main_button="Write it", input_word="hand", optional_input=True,
    ),
)


def exhibit(slug: str) -> Exhibit:
    """The row of this slug. Raises ConfigError that lists the slugs there are."""
    for row in EXHIBITS:
        if row.slug == slug:
            return row
    raise ConfigError(f"There is no exhibit {slug!r}. There is: {', '.join(e.slug for e in EXHIBITS)}.")
