// 48 traffic signs in the manner of the Vienna Convention, drawn by us: shapes, digits and figures are paths in this
// folder. Several are close to one another on purpose (the speed limits, left and right, one slash or two).

import { written } from './glyphs.mjs'
import {
  arrowHead,
  backArrow,
  bend,
  bicycle,
  car,
  crossing,
  deer,
  digger,
  exclamation,
  forkedArrow,
  humps,
  line,
  narrowing,
  person,
  roundabout,
  sideArrow,
  skidding,
  straightArrow,
  trafficLights,
  truck,
  turnArrow,
} from './pictograms.mjs'

const disc = (r, fill) => `<circle r="${r}" fill="${fill}"/>`
const mirrored = (drawing) => `<g transform="scale(-1 1)">${drawing}</g>`
const placed = (drawing, x, y, scale) => `<g transform="translate(${x} ${y}) scale(${scale})">${drawing}</g>`

/** A red ring around what is forbidden. */
const forbidden = (s, inside) => disc(99, s.white) + disc(96, s.red) + disc(96 - s.ring, s.ground) + inside

const slash = (s) => line('M-58 -58L58 58', s.ring * 0.75, s.red, 'butt')

const ordered = (s, inside) => disc(99, s.white) + disc(95, s.blue) + inside

const limit = (speed) => (s) => {
  const three = speed >= 100
  return forbidden(
    s,
    written(String(speed), {
      height: (three ? 66 : 82) * s.size,
      weight: three ? s.weight * 0.95 : s.weight,
      colour: s.black,
      narrow: three ? 0.82 : 1,
    }),
  )
}

const TRIANGLE = 'M0 -88L96 78H-96Z'

const warning = (drawing) => (s) =>
  `<path d="${TRIANGLE}" fill="${s.red}" stroke="${s.red}" stroke-width="16" stroke-linejoin="round"/>` +
  `<path d="${TRIANGLE}" fill="${s.ground}" transform="translate(0 ${(s.ring * 0.28).toFixed(1)}) scale(${(1 - s.ring * 0.0105).toFixed(3)})"/>` +
  placed(drawing(s), 0, 28, 0.82 * s.size)

const not =
  (drawing, struck = true) =>
  (s) =>
    forbidden(s, drawing(s) + (struck ? slash(s) : ''))

const stripes = (s) => line('M-78 42L42 -78M-68 56L56 -68M-56 68L68 -56M-42 78L78 -42', 7, s.black, 'butt')

const released = (inside) => (s) => disc(99, s.black) + disc(95, s.ground) + inside(s) + stripes(s)

const octagon = (r) =>
  [0, 1, 2, 3, 4, 5, 6, 7]
    .map(
      (i) =>
        `${(r * Math.cos(((i + 0.5) * Math.PI) / 4)).toFixed(1)},${(r * Math.sin(((i + 0.5) * Math.PI) / 4)).toFixed(1)}`,
    )
    .join(' ')

const noStopping = (crossed) => (s) =>
  disc(99, s.white) +
  disc(96, s.red) +
  disc(96 - s.ring * 0.8, s.blue) +
  line(crossed ? 'M-56 -56L56 56M56 -56L-56 56' : 'M-56 -56L56 56', s.ring * 0.8, s.red, 'butt')

/** Class names in the order of the model's output, each with its drawing in a circle of radius 100. */
export const SIGNS = [
  ...[20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130].map((speed) => [`speed-limit-${speed}`, limit(speed)]),
  ['end-of-limit-80', released((s) => written('80', { height: 82, weight: s.weight, colour: s.grey }))],
  ['end-of-all-limits', released(() => '')],
  [
    'no-entry',
    (s) => `${disc(99, s.white)}${disc(96, s.red)}<rect x="-70" y="-18" width="140" height="36" fill="${s.white}"/>`,
  ],
  ['no-vehicles', (s) => forbidden(s, '')],
  [
    'no-overtaking',
    (s) => forbidden(s, placed(car(s.red, s.ground), -31, 0, 1) + placed(car(s.black, s.ground), 31, 0, 1)),
  ],
  ['no-trucks', not((s) => placed(truck(s.black, s.ground), 2, 4, 1.15), false)],
  ['no-bicycles', not((s) => placed(bicycle(s.black), 0, 0, 1.15), false)],
  ['no-pedestrians', not((s) => placed(person(s.black), 0, 0, 1.2))],
  ['no-left-turn', not((s) => mirrored(turnArrow(s.black)))],
  ['no-right-turn', not((s) => turnArrow(s.black))],
  ['no-u-turn', not((s) => backArrow(s.black))],
  ['no-stopping', noStopping(true)],
  ['no-parking', noStopping(false)],
  ['danger', warning((s) => exclamation(s.black))],
  ['bend-left', warning((s) => mirrored(bend(s.black)))],
  ['bend-right', warning((s) => bend(s.black))],
  ['uneven-road', warning((s) => humps(s.black))],
  ['slippery-road', warning((s) => skidding(s.black, s.ground))],
  ['road-narrows', warning((s) => narrowing(s.black))],
  ['crossroads', warning((s) => crossing(s.black))],
  ['pedestrians', warning((s) => person(s.black))],
  ['bicycles', warning((s) => bicycle(s.black))],
  ['deer', warning((s) => deer(s.black))],
  ['road-works', warning((s) => digger(s.black))],
  ['traffic-lights', warning((s) => trafficLights(s.black, [s.red, s.yellow, s.green]))],
  ['straight-only', (s) => ordered(s, straightArrow(s.white))],
  ['left-only', (s) => ordered(s, mirrored(sideArrow(s.white)))],
  ['right-only', (s) => ordered(s, sideArrow(s.white))],
  ['straight-or-left', (s) => ordered(s, mirrored(forkedArrow(s.white)))],
  ['straight-or-right', (s) => ordered(s, forkedArrow(s.white))],
  ['keep-right', (s) => ordered(s, `<g transform="rotate(135)">${straightArrow(s.white)}</g>`)],
  ['roundabout', (s) => ordered(s, roundabout(s.white))],
  [
    'stop',
    (s) =>
      `<polygon points="${octagon(100)}" fill="${s.white}"/><polygon points="${octagon(95)}" fill="${s.red}"/>` +
      written('STOP', { height: 62 * s.size, weight: s.weight, colour: s.white, narrow: 0.86 }),
  ],
  [
    'yield',
    (s) =>
      `<g transform="rotate(180)"><path d="${TRIANGLE}" fill="${s.red}" stroke="${s.red}" stroke-width="16" stroke-linejoin="round"/>` +
      `<path d="${TRIANGLE}" fill="${s.ground}" transform="translate(0 ${(s.ring * 0.36).toFixed(1)}) scale(${(1 - s.ring * 0.0135).toFixed(3)})"/></g>`,
  ],
  [
    'priority-road',
    (s) =>
      `<g transform="rotate(45)"><rect x="-74" y="-74" width="148" height="148" rx="8" fill="${s.black}"/>` +
      `<rect x="-70" y="-70" width="140" height="140" rx="6" fill="${s.white}"/>` +
      `<rect x="-48" y="-48" width="96" height="96" fill="${s.yellow}"/></g>`,
  ],
  [
    'one-way',
    (s) =>
      `<rect x="-100" y="-48" width="200" height="96" rx="6" fill="${s.white}"/>` +
      `<rect x="-96" y="-44" width="192" height="88" rx="4" fill="${s.blue}"/>` +
      line('M-78 0H50', 22, s.white, 'butt') +
      arrowHead(82, 0, 90, 34, s.white),
  ],
]

export const LABELS = SIGNS.map(([label]) => label)

/** How one sign differs from the next of its class: paint, age, thickness of ring and strokes. */
export function styleOf(random) {
  const age = random.unit() ** 2 * 0.45
  const paint = (r, g, b) => {
    const grey = 150 + random.range(-20, 20)
    const mixed = [r, g, b].map((v) =>
      Math.round(Math.min(255, Math.max(0, v + (grey - v) * age + random.range(-14, 14)))),
    )
    return `rgb(${mixed.join(',')})`
  }
  const white = paint(244, 244, 240)
  return {
    red: paint(196, 24, 34),
    blue: paint(20, 82, 164),
    yellow: paint(250, 196, 30),
    green: paint(30, 150, 84),
    black: paint(22, 22, 24),
    grey: paint(130, 132, 134),
    white,
    ground: random.chance(0.2) ? paint(246, 208, 70) : white,
    ring: random.range(17, 26),
    weight: random.range(15, 20),
    size: random.range(0.9, 1.08),
  }
}
