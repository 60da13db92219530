// Results are the caller's: they share chunks of memory with each other and with nothing else.
import { expect, it } from 'vitest'
import type { Outputs } from '../../../src/runtime/types.js'
import { loaded, row } from './loaded.js'

const data = (outputs: Outputs): Float32Array => outputs.output?.data as Float32Array
const first = (outputs: Outputs): unknown => data(outputs)[0]

it('results of more requests at once than a chunk holds are each their own', async () => {
  const model = await loaded('models/echo')
  for (const count of [1, 255, 256, 257, 3000]) {
    const all = await Promise.all(Array.from({ length: count }, (_, i) => model.infer(row(i))))
    expect(all.map(first)).toEqual(Array.from({ length: count }, (_, i) => i))
    // Nobody writes over what another has.
    for (const each of all) data(each).fill(-1)
    const again = await Promise.all(Array.from({ length: count }, (_, i) => model.infer(row(i))))
    expect(all.every((each) => first(each) === -1)).toBe(true)
    expect(again.map(first)).toEqual(Array.from({ length: count }, (_, i) => i))
  }
})

// Refused or copied by messages (which of them depends on the version of Node); moved by ArrayBuffer.prototype.transfer.
it.each(['structuredClone', 'transfer'])(
  'a result that is given away by %s takes no later result along',
  async (how) => {
    const model = await loaded('models/echo')
    for (let i = 0; i < 600; i++) {
      const outputs = await model.infer(row(i))
      expect(data(outputs).length).toBe(64)
      expect(first(outputs)).toBe(i)
      const buffer = data(outputs).buffer as ArrayBuffer & { transfer?: () => ArrayBuffer }
      if (i % 3 === 0 && how === 'transfer') {
        try {
          buffer.transfer?.()
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError)
        }
      }
      if (i % 3 === 0 && how === 'structuredClone') {
        try {
          structuredClone(data(outputs), { transfer: [buffer] })
        } catch (error) {
          expect(error).toMatchObject({ name: 'DataCloneError' })
        }
        expect(first(outputs)).toBe(i)
      }
      expect(first(model.inferSync(row(i + 0.5)))).toBe(i + 0.5)
    }
  },
)
