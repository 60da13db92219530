// node scripts/vision/contact-sheet.mjs FILE [set]: pictures of a set side by side, to look at; `plain`: the bare signs.
import sharp from 'sharp'
import { main, say } from '../step.mjs'
import { seeded } from './random.mjs'
import { pictureOf } from './sets.mjs'
import { SIGNS, styleOf } from './signs.mjs'

main(async () => {
  const [file = 'contact-sheet.png', set = 'plain'] = process.argv.slice(2)
  const [columns, cell] = [12, 128]
  const count = set === 'plain' ? SIGNS.length : 96
  const tiles = Array.from({ length: count }, async (_, i) => {
    const bytes = set === 'plain' ? plain(i) : await pictureOf(set, i)
    const input = await sharp(bytes).resize(cell, cell, { fit: 'cover' }).png().toBuffer()
    return { input, left: (i % columns) * cell, top: Math.floor(i / columns) * cell }
  })
  const [width, height] = [columns * cell, Math.ceil(count / columns) * cell]
  await sharp({ create: { width, height, channels: 3, background: '#789' } })
    .composite(await Promise.all(tiles))
    .png()
    .toFile(file)
  say(`${count} pictures in ${file}`)
})

function plain(index) {
  const [, draw] = SIGNS[index]
  const drawing = draw(styleOf(seeded('plain', index)))
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="128" height="128" viewBox="-112 -112 224 224">${drawing}</svg>`,
  )
}
