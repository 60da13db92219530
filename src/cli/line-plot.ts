/** A line chart as SVG: small, and the same text for the same numbers, so that committed figures only change when they do. */
export interface LinePlot {
  readonly title: string
  readonly x: string
  readonly y: string
  readonly yMax?: number
  readonly lines: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[]
}

const WIDTH = 640
const HEIGHT = 400
const LEFT = 60
const RIGHT = 130
const TOP = 36
const BOTTOM = 48
/** Okabe and Ito's colours, told apart by colour-blind eyes as well. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000']
const DASHES = ['', '6 3', '2 3', '8 3 2 3', '', '6 3', '2 3']

export function linePlot(plot: LinePlot): string {
  const all = plot.lines.flatMap(({ points }) => points)
  const xMax = Math.max(...all.map(([x]) => x), 1e-9)
  const yMax = plot.yMax ?? Math.max(...all.map(([, y]) => y), 1e-9) * 1.05
  const at = (x: number): string => (LEFT + (x / xMax) * (WIDTH - LEFT - RIGHT)).toFixed(1)
  const up = (y: number): string => (HEIGHT - BOTTOM - (Math.min(y, yMax) / yMax) * (HEIGHT - TOP - BOTTOM)).toFixed(1)
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" role="img" aria-label="${escaped(plot.title)}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="20" font-size="14" font-weight="bold">${escaped(plot.title)}</text>`,
  ]
  for (const x of ticks(xMax)) {
    out.push(`<path d="M${at(x)} ${up(0)}V${up(yMax)}" stroke="#e5e5e5"/>`)
    out.push(`<text x="${at(x)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${label(x)}</text>`)
  }
  for (const y of ticks(yMax)) {
    out.push(`<path d="M${at(0)} ${up(y)}H${at(xMax)}" stroke="#e5e5e5"/>`)
    out.push(`<text x="${LEFT - 6}" y="${(Number(up(y)) + 4).toFixed(1)}" text-anchor="end">${label(y)}</text>`)
  }
  out.push(`<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 10}" text-anchor="middle">${escaped(plot.x)}</text>`)
  const middle = (TOP + HEIGHT - BOTTOM) / 2
  out.push(
    `<text x="14" y="${middle}" text-anchor="middle" transform="rotate(-90 14 ${middle})">${escaped(plot.y)}</text>`,
  )
  plot.lines.forEach(({ name, points }, i) => {
    const stroke = `stroke="${COLOURS[i % COLOURS.length]}" stroke-width="${i === 0 ? 3 : 1.6}"${dash(i)}`
    out.push(`<polyline fill="none" ${stroke} points="${points.map(([x, y]) => `${at(x)},${up(y)}`).join(' ')}"/>`)
    const y = TOP + 10 + i * 20
    out.push(`<path d="M${WIDTH - RIGHT + 10} ${y}h24" ${stroke}/>`)
    out.push(`<text x="${WIDTH - RIGHT + 40}" y="${y + 4}">${escaped(name)}</text>`)
  })
  return `${out.join('\n')}\n</svg>\n`
}

function dash(i: number): string {
  return DASHES[i % DASHES.length] ? ` stroke-dasharray="${DASHES[i % DASHES.length]}"` : ''
}

function ticks(max: number): number[] {
  const rough = max / 6
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5, 10].find((n) => n * power >= rough) as number)
  return Array.from({ length: Math.floor(max / step + 1e-9) + 1 }, (_, i) => i * step)
}

function label(value: number): string {
  return String(Number(value.toPrecision(6)))
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
}
