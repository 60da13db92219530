import { expect, it, vi } from 'vitest'
import { SubtenError } from '../../../src/runtime/errors.js'
import { modelOf, photo, tensorOf } from './pictures.js'

vi.mock('../../../src/runtime/binding.js', () => ({
  addon: () => {
    throw new SubtenError('UNSUPPORTED_PLATFORM', 'there is no addon here')
  },
}))

it('pictures become tensors without the addon', async () => {
  const bytes = await (await photo(64, 48)).jpeg().toBuffer()
  const { shape, data } = await tensorOf(bytes, modelOf([-1, 3, 8, 8]))
  expect(shape).toEqual([1, 3, 8, 8])
  expect(new Set(data).size).toBeGreaterThan(10)
})
