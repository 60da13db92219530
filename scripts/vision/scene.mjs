// A street scene with one sign in it, as SVG: background, other signs, the sign askew, shadow, dirt and what hangs in front.
import { SIGNS, styleOf } from './signs.mjs'

const n = (value) => value.toFixed(1)

/** Colours that are found along roads: sky, clouds, leaves, asphalt, stone, brick. */
const SURROUNDINGS = [
  [128, 170, 214], [196, 212, 226], [226, 230, 232], [70, 96, 52], [98, 122, 60], [44, 62, 38], [112, 112, 114],
  [72, 74, 78], [156, 148, 134], [138, 92, 74], [92, 70, 52], [188, 170, 132], [40, 44, 58], [168, 52, 44], [46, 84, 140],
] // biome-ignore format: a table

function near(random, base = random.pick(SURROUNDINGS), spread = 22) {
  return `rgb(${base.map((v) => Math.round(Math.min(255, Math.max(0, v + random.range(-spread, spread))))).join(',')})`
}

function blob(random, x, y, size, corners = random.whole(5, 8)) {
  const points = Array.from({ length: corners }, (_, i) => {
    const angle = (i / corners) * 2 * Math.PI
    const reach = size * random.range(0.55, 1.2)
    return `${n(x + reach * Math.cos(angle))},${n(y + reach * Math.sin(angle))}`
  })
  return points.join(' ')
}

function background(random, width, height) {
  const horizon = height * random.range(0.35, 0.95)
  const parts = [
    `<defs><linearGradient id="sky" x1="0" y1="0" x2="${n(random.range(-0.4, 0.4))}" y2="1">`,
    `<stop offset="0" stop-color="${near(random)}"/><stop offset="1" stop-color="${near(random)}"/></linearGradient></defs>`,
    `<rect width="${width}" height="${height}" fill="url(#sky)"/>`,
    `<rect y="${n(horizon)}" width="${width}" height="${n(height - horizon)}" fill="${near(random)}"/>`,
  ]
  for (let i = random.whole(3, 12); i > 0; i--) {
    const [x, y, size] = [random.range(0, width), random.range(0, height), random.range(0.05, 0.4) * width]
    const fill = near(random)
    if (random.chance(0.35)) {
      const w = size * random.range(0.3, 2)
      parts.push(
        `<rect x="${n(x - w / 2)}" y="${n(y - size / 2)}" width="${n(w)}" height="${n(size)}" fill="${fill}"/>`,
      )
    } else {
      parts.push(`<polygon points="${blob(random, x, y, size)}" fill="${fill}" opacity="${n(random.range(0.5, 1))}"/>`)
    }
  }
  return parts.join('')
}

/** How a sign is seen: from the side it is narrower, and nothing hangs quite straight. */
function view(random, x, y, radius, tilt = 13) {
  const scale = radius / 100
  return (
    `translate(${n(x)} ${n(y)}) rotate(${n(random.bell() * tilt * 0.6)}) skewX(${n(random.range(-tilt, tilt))})` +
    ` skewY(${n(random.range(-tilt, tilt))}) scale(${(scale * random.range(0.74, 1)).toFixed(4)} ${scale.toFixed(4)})`
  )
}

/** Light from one side over the whole picture, or the edge of a shadow across the sign. */
function shade(random, width, height, x, y, radius, hardness) {
  const parts = []
  if (random.chance(0.5)) {
    const turn = random.range(0, 360)
    const tone = random.chance(0.7) ? '#000' : '#fff'
    parts.push(
      `<defs><linearGradient id="shade" gradientTransform="rotate(${n(turn)} 0.5 0.5)"><stop offset="0" stop-color="${tone}"` +
        ` stop-opacity="${random.range(0.15, 0.15 + 0.55 * hardness).toFixed(2)}"/><stop offset="1" stop-color="${tone}" stop-opacity="0"/></linearGradient></defs>` +
        `<rect width="${width}" height="${height}" fill="url(#shade)"/>`,
    )
  }
  if (random.chance(0.4)) {
    const [sx, sy] = [x + random.bell() * radius, y + random.bell() * radius]
    const size = radius * random.range(0.5, 1.6)
    parts.push(
      `<polygon points="${blob(random, sx, sy, size)}" opacity="${random.range(0.2, 0.2 + 0.4 * hardness).toFixed(2)}"/>`,
    )
  }
  return parts.join('')
}

/** Dirt, stickers, leaves and poles in front of the sign: up to about a third of it is hidden. */
function inFront(random, x, y, radius, hardness) {
  const parts = []
  if (random.chance(0.35 * hardness)) {
    for (let i = random.whole(2, 14); i > 0; i--) {
      const [dx, dy, r] = [
        random.bell() * radius * 0.6,
        random.bell() * radius * 0.6,
        radius * random.range(0.02, 0.09),
      ]
      const fill = near(random, [96, 84, 66])
      parts.push(
        `<circle cx="${n(x + dx)}" cy="${n(y + dy)}" r="${n(r)}" fill="${fill}" opacity="${random.range(0.4, 0.95).toFixed(2)}"/>`,
      )
    }
  }
  if (random.chance(0.3 * hardness)) {
    const side = random.range(0, 2 * Math.PI)
    for (let i = random.whole(2, 7); i > 0; i--) {
      const far = radius * random.range(0.55, 1.15)
      const [lx, ly] = [
        x + far * Math.cos(side) + random.bell() * radius * 0.25,
        y + far * Math.sin(side) + random.bell() * radius * 0.25,
      ]
      const fill = near(
        random,
        random.pick([
          [66, 96, 44],
          [44, 62, 38],
          [132, 104, 48],
        ]),
      )
      parts.push(
        `<ellipse rx="${n(radius * random.range(0.12, 0.3))}" ry="${n(radius * random.range(0.06, 0.14))}" fill="${fill}"` +
          ` transform="translate(${n(lx)} ${n(ly)}) rotate(${n(random.range(0, 180))})"/>`,
      )
    }
  }
  if (random.chance(0.14 * hardness)) {
    const wide = radius * random.range(0.1, 0.32)
    const [dx, turn] = [random.bell() * radius * 0.7, random.bell() * 30]
    parts.push(
      `<rect x="${n(-wide / 2)}" y="${n(-3 * radius)}" width="${n(wide)}" height="${n(6 * radius)}" fill="${near(random)}"` +
        ` transform="translate(${n(x + dx)} ${n(y)}) rotate(${n(turn)})"/>`,
    )
  }
  if (random.chance(0.12 * hardness)) {
    const [w, h] = [radius * random.range(0.2, 0.5), radius * random.range(0.15, 0.4)]
    parts.push(
      `<rect x="${n(-w / 2)}" y="${n(-h / 2)}" width="${n(w)}" height="${n(h)}" fill="${near(random, [random.whole(0, 255), random.whole(0, 255), random.whole(0, 255)])}"` +
        ` transform="translate(${n(x + random.bell() * radius * 0.5)} ${n(y + random.bell() * radius * 0.5)}) rotate(${n(random.range(0, 90))})"/>`,
    )
  }
  return parts.join('')
}

/** Part of another sign beside, above or below. */
function neighbour(random, x, y, radius) {
  const [, draw] = random.pick(SIGNS)
  const angle = random.range(0, 2 * Math.PI)
  const size = radius * random.range(0.6, 1)
  const far = radius + size * random.range(0.95, 1.4)
  const transform = view(random, x + far * Math.cos(angle), y + far * Math.sin(angle), size)
  return `<g transform="${transform}">${draw(styleOf(random))}</g>`
}

/** `{ svg, width, height }` of a picture of class `label` (an index into SIGNS); `hardness` from 0 to 1. */
export function sceneOf(label, hardness, random) {
  const [width, height] = [random.whole(120, 160), random.whole(120, 160)]
  const side = Math.min(width, height)
  const radius = side * random.range(0.44 - 0.24 * hardness, 0.44)
  const slack = Math.max(0, side / 2 - radius) * 0.8
  const [x, y] = [width / 2 + random.range(-slack, slack), height / 2 + random.range(-slack, slack)]
  const [, draw] = SIGNS[label]
  const parts = [background(random, width, height)]
  if (random.chance(0.25)) parts.push(neighbour(random, x, y, radius))
  const pole = radius * random.range(0.08, 0.16)
  parts.push(
    `<rect x="${n(x - pole / 2)}" y="${n(y)}" width="${n(pole)}" height="${n(height)}" fill="${near(random, [132, 134, 138])}"/>`,
  )
  parts.push(`<g transform="${view(random, x, y, radius)}">${draw(styleOf(random))}</g>`)
  parts.push(shade(random, width, height, x, y, radius, hardness), inFront(random, x, y, radius, hardness))
  return {
    svg: `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${parts.join('')}</svg>`,
    width,
    height,
  }
}
