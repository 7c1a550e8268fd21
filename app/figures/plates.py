"""Line drawings for the gallery cards, one per exhibit, as SVG: dark ground, quiet lines, the lit part is what the system finds."""

GROUND, LINE, LIGHT, LIT = "#0F2A30", "#3E6168", "#E6ECEE", "#4CC3D6"


def _plate(body: str) -> str:
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 200" width="480" height="200">'
            f'<rect width="480" height="200" rx="4" fill="{GROUND}"/>{body}</svg>')


def _bar(x: float, y: float, width: float, colour: str) -> str:
    return f'<path d="M{x} {y}h{width}" stroke="{colour}" stroke-width="6" stroke-linecap="round"/>'


def table() -> str:
    """A ruled table with two joined cells lit."""
    xs, ys = (90, 190, 250, 320, 390), (35, 65, 91, 117, 143, 168)
    body = "".join(f'<path d="M{xs[0]} {y}H{xs[-1]}" stroke="{LINE}" stroke-width="1.6"/>' for y in ys)
    body += "".join(f'<path d="M{x} {ys[0]}V{ys[-1]}" stroke="{LINE}" stroke-width="1.6"/>' for x in xs)
    body += "".join(_bar(x + 14, y + 13, 30, LINE) for x in xs[:-1] for y in ys[:-1])
    body += f'<rect x="190" y="35" width="130" height="30" fill="{GROUND}" stroke="{LIT}" stroke-width="2.6"/>' + _bar(222, 50, 66, LIT)
    body += f'<rect x="90" y="91" width="100" height="52" fill="{GROUND}" stroke="{LIT}" stroke-width="2.6"/>' + _bar(104, 117, 52, LIT)
    return _plate(body)


def dmimo() -> str:
    """Four radios that all hear the same four users."""
    radios, users = ((86, 48), (386, 52), (76, 158), (398, 154)), ((212, 98), (240, 84), (228, 120), (258, 114))
    body = "".join(f'<path d="M{x} {y}L{u} {v}" stroke="{LIT}" stroke-width="1.1" opacity=".45"/>' for x, y in radios for u, v in users)
    body += "".join(f'<circle cx="{u}" cy="{v}" r="7" fill="{LIT}"/>' for u, v in users)
    for x, y in radios:
        body += f'<rect x="{x - 10}" y="{y - 10}" width="20" height="20" fill="{GROUND}" stroke="{LIGHT}" stroke-width="2.4"/><rect x="{x - 3.5}" y="{y - 3.5}" width="7" height="7" fill="{LIGHT}"/>'
    return _plate(body)


def compiler() -> str:
    """A small network at the left, the bars of a race at the right, ours lit, the limit as a line."""
    columns = ((60, (60, 100, 140)), (120, (44, 81, 119, 156)), (180, (80, 120)))
    body = "".join(f'<path d="M{x} {y}L{u} {v}" stroke="{LINE}" stroke-width="1.2"/>'
                   for (x, ys), (u, vs) in zip(columns, columns[1:]) for y in ys for v in vs)
    body += "".join(f'<circle cx="{x}" cy="{y}" r="6.5" fill="{GROUND}" stroke="{LIGHT}" stroke-width="2"/>' for x, ys in columns for y in ys)
    body += f'<path d="M212 100h26m-8 -7l8 7l-8 7" stroke="{LIGHT}" stroke-width="2" fill="none"/>'
    for n, (wide, colour) in enumerate(((34, LIT), (36, LIGHT), (104, LINE), (136, LINE), (172, LINE))):
        body += f'<rect x="262" y="{40 + 26 * n}" width="{wide}" height="14" fill="{colour}"/>'
    return _plate(body + f'<path d="M292 30V170" stroke="{LIGHT}" stroke-width="1.6" stroke-dasharray="3,4"/>')


def handwriting() -> str:
    """Three letters on a line; the strokes that join them are lit."""
    dashes = f'<path d="M60 82H420" stroke="{LINE}" stroke-width="1.4" stroke-dasharray="7 6"/><path d="M60 142H420" stroke="{LINE}" stroke-width="1.6"/>'
    letters = ("M122 138C112 88 152 28 162 44C172 62 128 108 126 132C126 146 142 144 152 136", "M196 114C214 108 222 84 206 84C186 84 180 120 190 134C198 146 218 142 230 130",
               "M274 138C264 88 304 28 314 44C324 62 280 108 278 132C278 146 292 146 302 138", "M368 92C350 74 332 96 334 118C336 148 374 148 376 114C376 100 370 92 362 88")
    joins = ("M152 136C168 128 178 120 196 114", "M230 130C246 118 262 104 278 78", "M302 138C318 130 328 112 340 100")
    body = dashes + "".join(f'<path d="{d}" fill="none" stroke="{LIGHT}" stroke-width="4.2" stroke-linecap="round"/>' for d in letters)
    return _plate(body + "".join(f'<path d="{d}" fill="none" stroke="{LIT}" stroke-width="4.2" stroke-linecap="round"/>' for d in joins))


def speech() -> str:
    """A noisy envelope at the left of a divider, the bare voice lit at its right."""
    heights = (10, 22, 48, 70, 52, 30, 14, 26, 58, 84, 66, 40, 20, 12, 34, 62, 76, 50, 28, 12)
    body = ""
    for n, height in enumerate(heights):
        x = 70 + 18 * n
        if x < 240:
            body += f'<path d="M{x} {100 - height / 2 - 14}V{100 + height / 2 + 14}" stroke="{LINE}" stroke-width="9"/>'
        body += f'<path d="M{x} {100 - height / 2}V{100 + height / 2}" stroke="{LIGHT if x < 240 else LIT}" stroke-width="5" stroke-linecap="round"/>'
    return _plate(body + f'<path d="M241 34V166" stroke="{LIGHT}" stroke-width="2"/><circle cx="241" cy="100" r="8" fill="{GROUND}" stroke="{LIGHT}" stroke-width="2"/>')


PLATES = {"speech": speech, "table": table, "dmimo": dmimo, "compiler": compiler, "handwriting": handwriting}
