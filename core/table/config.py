"""Settings of the table exhibit: one frozen dataclass from which the form, the command line and the HTTP endpoint are derived."""

from dataclasses import dataclass

from core.exhibit import option


@dataclass(frozen=True)
class TableConfig:
    """How to read a table picture."""

    engine: str = option("auto", "Engine", choices=("auto", "model", "regions"),
                         help="How the structure is found. model is the network, which reads any table; regions is the flood fill over ruled cells; "
                              "auto runs both, compares them and says which it took.")
    model: str = option("full", "Model", choices=("full", "mobile"),
                        help="full is the network with its decoder; mobile is the small one, run by ONNX Runtime, which answers in one pass.")
    ocr: str = option("rapidocr", "Text reader", choices=("rapidocr", "tesseract", "none"),
                      help="Which OCR engine reads the cells. none gives the structure alone, in milliseconds.")
    decode: str = option("speculative", "Decoding", choices=("speculative", "greedy"), shown=False,
                         help="speculative proposes tokens and has several confirmed in one decoder call; greedy makes one call per token. "
                              "The tokens are the same.")
    page: int = option(1, "PDF page", low=1, high=100_000, help="Which page of a PDF is read; pictures have one page.", shown=False)
    ocr_language: str = option("", "Language", shown=False, help="Language code of the OCR engine (tesseract: eng, deu, ...); empty is the engine's default.")
    ocr_model: str = option("", "Model path", shown=False, help="A local recognition model (.onnx) for RapidOCR, for languages its wheel does not carry.")
    race: bool = option(False, "Race", shown=False,
                        help="Also time, on this picture: the labelling by our kernel, OpenCV, SciPy and the NumPy twin; greedy against speculative decoding; "
                             "the full model against the mobile one.")
    shrink: bool = option(False, "Halve large pictures", shown=False,
                          help="Halve the sides of a picture of 25 to 100 million pixels instead of refusing it.")
