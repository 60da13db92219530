import { readFileSync } from 'node:fs'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { photograph } from '../../scripts/vision/camera.mjs'
import { pictureOf } from '../../scripts/vision/sets.mjs'
import { LABELS } from '../../scripts/vision/signs.mjs'

const SEEN = new URL('seen.json', import.meta.url)

/** A picture in 6 x 6 cells of RGB: what stays when a renderer rounds otherwise. */
async function cellsOf(bytes: Buffer): Promise<number[]> {
  return [...(await sharp(bytes).resize(6, 6, { fit: 'fill' }).removeAlpha().raw().toBuffer())]
}

describe('the pictures of models/vision', () => {
  it('has 48 classes with different names', () => {
    expect(LABELS).toHaveLength(48)
    expect(new Set(LABELS).size).toBe(48)
  })

  it('depend on seed, number, class and hardness, not on what was drawn before', async () => {
    const first = await photograph('a seed', 5, 3, 1)
    const [other, again] = await Promise.all([photograph('a seed', 6, 3, 1), photograph('a seed', 5, 3, 1)])
    expect(again.equals(first)).toBe(true)
    expect(other.equals(first)).toBe(false)
    expect((await photograph('another seed', 5, 3, 1)).equals(first)).toBe(false)
    expect((await photograph('a seed', 5, 4, 1)).equals(first)).toBe(false)
    expect((await photograph('a seed', 5, 3, 0.5)).equals(first)).toBe(false)
  })

  it('look as they did when accuracies were measured on them', async () => {
    const seen = JSON.parse(readFileSync(SEEN, 'utf8')) as { index: number; cells: number[] }[]
    expect(seen.length).toBeGreaterThan(4)
    for (const { index, cells } of seen) {
      const now = await cellsOf(await pictureOf('heldout', index))
      expect(now).toHaveLength(cells.length)
      for (const [i, value] of now.entries()) expect(Math.abs(value - (cells[i] as number))).toBeLessThan(12)
    }
  })
})
