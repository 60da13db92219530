// What is drawn on the signs: figures of our own around 0,0, about 100 wide and high, in one colour `ink`.

const filled = (path, ink) => `<path d="${path}" fill="${ink}"/>`
const dot = (x, y, r, ink) => `<circle cx="${x}" cy="${y}" r="${r}" fill="${ink}"/>`

/** A line with round ends. */
export function line(path, width, ink, cap = 'round') {
  return `<path d="${path}" fill="none" stroke="${ink}" stroke-width="${width}" stroke-linecap="${cap}" stroke-linejoin="round"/>`
}

/** The head of an arrow whose tip is at x, y; `degrees` is where it points, 0 being up. */
export function arrowHead(x, y, degrees, size, ink) {
  return `<path d="M0 0L${size} ${size}H${-size}Z" transform="translate(${x} ${y}) rotate(${degrees})" fill="${ink}"/>`
}

export function person(ink) {
  return (
    dot(2, -40, 9.5, ink) +
    line('M0 -24L-2 4', 15, ink) +
    line('M-2 4L-6 22L-18 45M-2 4L12 24L15 46', 9, ink) +
    line('M-2 -24L-19 -8L-20 8M2 -24L16 -9L26 0', 7, ink)
  )
}

export function bicycle(ink) {
  const wheel = (x) => `<circle cx="${x}" cy="16" r="20" fill="none" stroke="${ink}" stroke-width="6"/>`
  return (
    wheel(-29) +
    wheel(29) +
    line('M-29 16L-11 -16H19L29 16M-13 -22L0 16L19 -16M-29 16H0M-21 -24H-6M19 -16L15 -30H27', 5.5, ink)
  )
}

/** From behind. */
export function car(ink, glass) {
  return (
    filled('M-27 16V-3L-17 -24H17L27 -3V16Z', ink) +
    filled('M-15 -18H15L20 -5H-20Z', glass) +
    filled('M-25 14H-13V26H-25ZM13 14H25V26H13Z', ink)
  )
}

/** From the side. */
export function truck(ink, glass) {
  return (
    filled('M-48 -28H12V16H-48Z', ink) +
    filled('M15 -14H34L46 2V16H15Z', ink) +
    filled('M21 -8H32L38 2H21Z', glass) +
    dot(-30, 20, 10, ink) +
    dot(30, 20, 10, ink)
  )
}

export function deer(ink) {
  return (
    line('M-28 4C-16 -4 2 -4 16 -8', 20, ink) +
    line('M18 -8L33 -29', 10, ink) +
    line('M33 -29L46 -24', 8, ink) +
    line('M31 -32L24 -50M28 -41L38 -51', 4, ink) +
    line('M-32 6L-47 28L-42 42M-26 10L-30 36M18 0L32 16L45 13M12 2L22 30', 6.5, ink)
  )
}

export function digger(ink) {
  return (
    dot(-6, -38, 9, ink) +
    line('M-8 -22L-17 6', 13, ink) +
    line('M-17 6L-30 44M-17 6L2 20L0 44', 8.5, ink) +
    line('M-8 -22L14 -2', 7, ink) +
    line('M-6 -18L36 30', 4.5, ink) +
    filled('M12 46Q34 6 54 46Z', ink)
  )
}

export function trafficLights(ink, [red, amber, green]) {
  return (
    `<rect x="-17" y="-46" width="34" height="92" rx="7" fill="${ink}"/>` +
    dot(0, -29, 11, red) +
    dot(0, 0, 11, amber) +
    dot(0, 29, 11, green)
  )
}

export function skidding(ink, glass) {
  return (
    `<g transform="translate(2 -24) rotate(-12) scale(0.85)">${car(ink, glass)}</g>` +
    line('M-16 8C-34 20 4 28 -16 47M16 4C-2 18 36 26 16 47', 6.5, ink)
  )
}

export const humps = (ink) =>
  filled('M-52 22C-42 22 -36 -8 -25 -8C-14 -8 -8 22 0 22C8 22 14 -8 25 -8C36 -8 42 22 52 22V34H-52Z', ink)

export const exclamation = (ink) => filled('M-9 -48H9L5.5 14H-5.5Z', ink) + dot(0, 33, 10, ink)

export const narrowing = (ink) => line('M-28 46V18L-11 -10V-46M28 46V18L11 -10V-46', 9, ink, 'butt')

export const crossing = (ink) => line('M-32 -32L32 32M32 -32L-32 32', 14, ink, 'butt')

/** A bend to the right. */
export const bend = (ink) => line('M-14 48V18C-14 -2 -6 -12 8 -24', 12, ink, 'butt') + arrowHead(26, -40, 47, 19, ink)

export const straightArrow = (ink) => line('M0 66V-30', 24, ink, 'butt') + arrowHead(0, -70, 0, 40, ink)

/** To the right. */
export const sideArrow = (ink) => `<g transform="rotate(90)">${straightArrow(ink)}</g>`

/** Straight on or to the right. */
export const forkedArrow = (ink) =>
  line('M-20 68V-34', 19, ink, 'butt') +
  arrowHead(-20, -68, 0, 30, ink) +
  line('M-20 48C-20 22 -12 14 6 14H32', 19, ink, 'butt') +
  arrowHead(64, 14, 90, 30, ink)

/** Turning off to the right. */
export const turnArrow = (ink) =>
  line('M-20 52V-2C-20 -18 -12 -24 2 -24H12', 15, ink, 'butt') + arrowHead(46, -24, 90, 26, ink)

export const backArrow = (ink) =>
  line('M26 52V-14C26 -42 -22 -42 -22 -14V8', 14, ink, 'butt') + arrowHead(-22, 38, 180, 26, ink)

/** Three arrows that follow one another in a circle. */
export function roundabout(ink) {
  const one = line('M34.6 -36A50 50 0 0 0 -18 -46.6', 18, ink, 'butt') + arrowHead(-46, -32, -112, 24, ink)
  return [0, 120, 240].map((turn) => `<g transform="rotate(${turn})">${one}</g>`).join('')
}
