// The browser's twin of core/handwriting/deformation.py: join(tail, head, weights, mode, cap) with the same letters and the same arithmetic, so that a slider is answered
// without asking the server. tests/e2e/test_handwriting.py holds the two together.
const BEND = 4, PASSES = 8;

// T x = rhs for a symmetric tridiagonal T (Thomas algorithm); rhs: rows of columns. Overwrites its arguments.
function solveTridiagonal(beside, diagonal, rhs) {
  const n = diagonal.length, columns = n ? rhs[0].length : 0;
  for (let i = 1; i < n; i++) {
    const factor = beside[i - 1] / diagonal[i - 1];
    diagonal[i] -= factor * beside[i - 1];
    for (let c = 0; c < columns; c++) rhs[i][c] -= factor * rhs[i - 1][c];
  }
  for (let i = n - 1; i >= 0; i--)
    for (let c = 0; c < columns; c++) rhs[i][c] = (rhs[i][c] - (i + 1 < n ? beside[i] * rhs[i + 1][c] : 0)) / diagonal[i];
  return rhs;
}

const links = points => points.slice(1).map((point, i) => point.map((value, c) => value - points[i][c]));

// The links with the break between at - 1 and at smoothed; links further away than BEND stay, and those at the fixed ends where there are others.
function passingOver(wanted, at) {
  const low = Math.max(at - BEND, Math.min(1, at - 1), 0), high = Math.min(at + BEND, Math.max(wanted.length - 1, at + 1), wanted.length);
  if (!(low < at && at < high)) return wanted;
  const from = Math.max(low - 1, 0), to = Math.min(high + 1, wanted.length), columns = wanted[0].length;
  let now = wanted.slice(from, to).map(link => link.slice()), next = now.map(link => link.slice());
  for (let pass = 0; pass < PASSES; pass++) {
    for (let i = low - from; i < high - from; i++)
      for (let c = 0; c < columns; c++) {
        const before = i ? now[i - 1][c] - now[i][c] : 0, after = i + 1 < now.length ? now[i + 1][c] - now[i][c] : 0;
        next[i][c] = now[i][c] + 0.25 * before + 0.25 * after;
      }
    [now, next] = [next, now];
  }
  return [...wanted.slice(0, from), ...now, ...wanted.slice(to)];
}

const STIFFNESS = new Map();
function stiffness(count) {
  if (!STIFFNESS.has(count)) STIFFNESS.set(count, stiffnessOf(count));
  return STIFFNESS.get(count);
}

function stiffnessOf(count) {
  const give = Array.from({ length: count }, (_, i) => Math.sin(Math.PI * (i + 0.5) / Math.max(count, 1)) ** 2);
  const mean = give.reduce((sum, value) => sum + value, 0) / Math.max(count, 1);
  return give.map(value => mean / value);
}

// tail, head: [[x, y], ...]; weights: {connection, smoothness, displacement}; exact: meet on one point, else pulled together by the connection weight.
// Returns {tail, head, gap, moved, fits, connection, smoothness [per link], displacement [per point]}.
function joinLetters(tail, head, weights, exact, cap) {
  const m = tail.length, half = links(tail).concat(links(head));
  let wanted = passingOver(half, m - 1), stiff = stiffness(half.length).map(value => weights.smoothness * value), drawn, anchor;
  const own = wanted.slice(), ownStiff = stiff.slice();
  if (exact) {
    drawn = tail.concat(head.slice(1)).map(point => point.slice());
    anchor = drawn.map(() => weights.displacement);
    drawn[m - 1] = m === 1 ? tail[0].slice() : head.length === 1 ? head[0].slice() : tail[m - 1].map((value, c) => (value + head[0][c]) / 2);
    anchor[m - 1] *= 2;
  } else {
    drawn = tail.concat(head);
    anchor = drawn.map(() => weights.displacement);
    wanted = [...wanted.slice(0, m - 1), tail[0].map(() => 0), ...wanted.slice(m - 1)];
    stiff = [...stiff.slice(0, m - 1), weights.connection, ...stiff.slice(m - 1)];
  }
  const pull = links(drawn).map((link, i) => link.map((value, c) => stiff[i] * (wanted[i][c] - value))), n = Math.max(drawn.length - 2, 0), free = Array.from({ length: n }, (_, i) => i);
  const moves = solveTridiagonal(free.slice(1).map(i => -stiff[i]), free.map(i => anchor[i + 1] + stiff[i] + stiff[i + 1]),
                                 free.map(i => pull[i].map((value, c) => value - pull[i + 1][c])));
  const found = drawn.map((point, i) => i > 0 && i <= n ? point.map((value, c) => value + moves[i - 1][c]) : point.slice());
  return split(found, tail, head, own, ownStiff, weights, exact, cap);
}

// Cut the solved chain in two, or refuse it where a point moves further than the cap or an end would not stay.
function split(found, tail, head, own, ownStiff, weights, exact, cap) {
  const m = tail.length, distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]), same = (a, b) => a.every((value, c) => value === b[c]);
  let bent = [found.slice(0, m), found.slice(m - (exact ? 1 : 0))];
  const moved = Math.max(...bent[0].map((point, i) => distance(point, tail[i])), ...bent[1].map((point, i) => distance(point, head[i])));
  const fits = moved <= cap && same(bent[0][0], tail[0]) && same(bent[1][bent[1].length - 1], head[head.length - 1]);
  if (!fits) bent = [tail, head];
  const gap = distance(bent[0][m - 1], bent[1][0]), now = links(bent[0]).concat(links(bent[1]));
  return {
    tail: bent[0], head: bent[1], gap, moved, fits, connection: exact && fits ? 0 : weights.connection * gap ** 2,
    smoothness: now.map((link, i) => ownStiff[i] * link.reduce((sum, value, c) => sum + (value - own[i][c]) ** 2, 0)),
    displacement: [...bent[0].map((point, i) => distance(point, tail[i])), ...bent[1].map((point, i) => distance(point, head[i]))].map(d => weights.displacement * d ** 2) };
}
