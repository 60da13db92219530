// The digits and letters on the signs, as strokes of our own in a box 100 high: no font is used, installed or needed.

const SIX = 'M47 14C30 5 9 22 9 62C9 80 17 91 30 91C43 91 51 81 51 66C51 51 43 42 31 42C19 42 11 50 9 62'

const GLYPHS = {
  0: { width: 60, path: 'M30 9C50 9 51 30 51 50C51 70 50 91 30 91C10 91 9 70 9 50C9 30 10 9 30 9Z' },
  1: { width: 42, path: 'M8 28L27 12V100' },
  2: { width: 60, path: 'M10 33C10 17 18 9 30 9C43 9 50 18 50 31C50 46 40 56 13 91H53' },
  3: {
    width: 60,
    path: 'M10 22C15 12 22 9 30 9C42 9 49 17 49 28C49 40 41 47 26 47C42 47 51 56 51 69C51 83 42 91 30 91C20 91 13 87 8 77',
  },
  4: { width: 62, path: 'M43 100V12L9 70H60' },
  5: { width: 60, path: 'M50 9H16L13 48C19 41 25 39 31 39C44 39 51 49 51 64C51 81 42 91 29 91C19 91 13 86 9 77' },
  6: { width: 60, path: SIX },
  7: { width: 58, path: 'M6 9H50C36 36 26 64 24 100' },
  8: {
    width: 60,
    path: 'M30 46C18 46 12 38 12 28C12 16 19 9 30 9C41 9 48 16 48 28C48 38 42 46 30 46C16 46 9 56 9 68C9 82 17 91 30 91C43 91 51 82 51 68C51 56 44 46 30 46Z',
  },
  9: { width: 60, path: SIX, turned: true },
  S: {
    width: 58,
    path: 'M50 23C44 13 38 9 29 9C17 9 10 17 10 28C10 40 18 45 29 49C41 53 50 58 50 71C50 83 41 91 29 91C19 91 12 87 7 76',
  },
  T: { width: 58, path: 'M2 9H56M29 9V100' },
  O: { width: 66, path: 'M33 9C52 9 57 28 57 50C57 72 52 91 33 91C14 91 9 72 9 50C9 28 14 9 33 9Z' },
  P: { width: 58, path: 'M11 100V9H28C43 9 51 19 51 33C51 47 43 57 28 57H11' },
}

/** `text` centred on 0,0 and `height` high; `weight` is the width of a stroke where a glyph is 100 high. */
export function written(text, { height, weight, colour, narrow = 1 }) {
  const gap = weight * 0.55
  const glyphs = [...text].map((letter) => GLYPHS[letter])
  const width = glyphs.reduce((sum, glyph) => sum + glyph.width, gap * (glyphs.length - 1))
  let x = 0
  const strokes = glyphs.map((glyph) => {
    const turn = glyph.turned ? ` rotate(180 ${glyph.width / 2} 50)` : ''
    const stroke = `<path d="${glyph.path}" transform="translate(${x.toFixed(1)} 0)${turn}"/>`
    x += glyph.width + gap
    return stroke
  })
  const scale = height / 100
  return (
    `<g transform="scale(${(scale * narrow).toFixed(4)} ${scale.toFixed(4)}) translate(${(-width / 2).toFixed(1)} -50)"` +
    ` fill="none" stroke="${colour}" stroke-width="${weight.toFixed(1)}">${strokes.join('')}</g>`
  )
}
