"""The speech exhibit: a recording in, restored by diffusion in a small latent; players in step, a wipe over the spectrograms, measures, the steps, the cost."""

import pandas as pd
import streamlit as st

from app import desk, recorded
from app.figures import speech as figures
from app.pieces import base_px, chart, mode, nb, plain, small, stages
from app.registry import exhibit
from app.room import room
from app.widgets.downloads import download, download_row, zipped
from app.widgets.live_voice import live_voice
from app.widgets.sound_player import sound_player

ROW = exhibit("speech")


def chosen(view: desk.View) -> str:
    """The recording on show; a run over several has a choice."""
    names = figures.stems(view)
    return st.selectbox("Recording", names, key="speech:stem") if len(names) > 1 else names[0]


def show(view: desk.View) -> None:
    """The player with its wipe, what it is made of, downloads."""
    stem = chosen(view)
    this = figures.clip(view, stem)
    sound_player(figures.player_story(view, stem), key=f"speech:player:{view.id}:{stem}")
    small(plain(this.told["words"]))
    download_row("Save as", view.files, [("WAV, 48 kHz", f"{stem}.restored.wav"), ("Measures, JSON", f"{stem}.json")], "speech:save")
    if len(figures.stems(view)) > 1:
        download("Everything as a zip", f"{view.id or 'speech'}.zip", zipped(view.files), "speech:zip", ":material/folder_zip:")


def live(view: desk.View) -> None:
    """The visitor's own voice, restored while they speak."""
    this = figures.clip(view, chosen(view))
    live_voice(this.trace[this.take("noisy")["sound"]], "speech:live")
    small("The delay is measured in this page, from a sample of the microphone to the same sample at the loudspeaker; the microphone's own buffer comes on top. "
          "The pauses are the quietest tenth of the last eight seconds. The browser's own noise suppression is off. Nothing is recorded.")


def finding(view: desk.View) -> str:
    """The run in a sentence; over live mode, which has no run, what it is."""
    return "Your voice, restored live" if st.session_state.get(f"view:{ROW.slug}") == "Live" else figures.finding(view)


def measures(view: desk.View) -> None:
    """Every measure of every take."""
    this = figures.clip(view, chosen(view))
    st.subheader(nb("What changed, on the scale of what was tried here"), anchor=False)
    chart(figures.measures_figure(this, mode(), base_px()), "speech:measures")
    small("Each line runs from the worst to the best value among the takes of this recording. " + ("The clean recording is known, so ours and the others are held against it." if this.take("clean")
          else "There is no clean recording to compare with, so only DNSMOS, a network that guesses what listeners would say, can be given."))
    st.dataframe(pd.DataFrame(figures.measures_table(this)), hide_index=True, alt="Measures of every take")


def steps(view: desk.View) -> None:
    """The states of the diffusion, one picture a step."""
    this = figures.clip(view, chosen(view))
    told = this.told["steps"]
    st.subheader(nb(f"{len(told) - 1} step{'s' if len(told) != 2 else ''} from the input to the restored latent"), anchor=False)
    columns = st.columns(min(len(told), 3), gap="small")
    for n, step in enumerate(told):
        with columns[n % len(columns)]:
            st.image(figures.coloured(this.trace[step["picture"]]), width="stretch", alt=f"Spectrogram after step {n}, diffusion time {step['time']:.2f}")
            small(f"t = {step['time']:.2f}")
    small(plain(this.told["steps_words"]))


def latent(view: desk.View) -> None:
    """The recording through latents of other widths and starts, nothing restored."""
    this = figures.clip(view, chosen(view))
    small("Restoration works on a latent: a few numbers in place of the sound. Choose how few, and listen to what they keep.")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        design = st.segmented_control("Autoencoder", tuple(figures.DESIGNS), default=next(iter(figures.DESIGNS)), required=True, key="speech:design")
        rows = figures.latent_rows(this, design)
        if not rows:
            small("This run was made without other latents. Restore the recording again to hear them.")
            return
        widths = tuple(rows)
        width = widths[0] if len(widths) == 1 else st.select_slider(f"Numbers kept of {figures.PATCH_NUMBERS}", widths, value=8 if 8 in widths else widths[-1], key=f"speech:width:{design}",
                                                                    width=14 * base_px())
    row = rows[width]
    st.subheader(nb(figures.latent_words(this, row)), anchor=False)
    sound_player(figures.latent_story(view, this, row), key=f"speech:latent:{view.id}:{row['sound']}")
    small(plain(figures.latent_source_words(this)))
    st.markdown(figures.latent_table(this, design, width))
    small(figures.DESIGN_WORDS[design])


def cost(view: desk.View) -> None:
    """Quality against cost over our sizes and steps and the other tools, as recorded."""
    rows = recorded.rows(ROW.slug, "quality")
    if not rows:
        small("The benchmark has not been recorded yet: run `launch.py bench speech --record`.")
        return
    st.subheader("Quality against cost, recorded", anchor=False)
    measure = st.segmented_control("Measure", ("ovrl", "pesq", "estoi", "si_sdr"), default="ovrl", required=True, key="speech:measure", label_visibility="collapsed",
                                   format_func=lambda key: figures.MEASURES[key][0])
    chart(figures.cost_figure(rows, measure, mode(), base_px()), "speech:cost")
    small(f"Voices, noises and rooms that training never saw; one thread. Recorded by `launch.py bench speech` on {recorded.value(ROW.slug, 'machine')}.")


def explain(view: desk.View) -> None:
    """The stages with their seconds, and the method."""
    stages(view.record, figures.STAGES)
    small(plain(figures.clip(view, figures.stems(view)[0]).told["method"]))


room(ROW, finding, show, explain, views={"Live": live, "Measures": measures, "Diffusion": steps, "Latent": latent, "Cost": cost})
