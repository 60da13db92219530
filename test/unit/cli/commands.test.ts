import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { fakeModel } from '../../../src/testing.js'
import { subten } from './running-cli.js'

const folder = mkdtempSync(join(tmpdir(), 'subten-cli-'))
const file = (name: string, content: string | Buffer): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

describe('subten', () => {
  it('prints help and its version with 0, and answers a wrong call with 2', async () => {
    const help = await subten(['--help'])
    expect(help.code).toBe(0)
    for (const command of ['serve', 'infer', 'bench', 'doctor', 'inspect', 'types', 'sla', 'explain']) {
      expect(help.out).toContain(command)
    }
    expect(await subten(['--version'])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+/) })
    expect((await subten(['nonsense'])).code).toBe(2)
    expect((await subten(['serve', '--http-port', 'http'])).code).toBe(2)
    expect((await subten(['inspect'])).code).toBe(2)
  })

  it('prints an error as its code, a sentence and the remedy, without a stack', async () => {
    const ran = await subten(['inspect', 'models/nothing'])
    expect(ran).toMatchObject({ code: 1, out: '' })
    expect(ran.err).toMatch(/^MODEL_NOT_FOUND: there is no model at models\/nothing\nCheck the path/)
    expect(ran.err).not.toMatch(/\n\s+at /)
  })
})

describe('subten explain', () => {
  it('says what a code means and what to do', async () => {
    const ran = await subten(['explain', 'queue_full'])
    expect(ran.code).toBe(0)
    expect(ran.out).toMatch(/^QUEUE_FULL \(HTTP 503, gRPC 8\)\n\n.*\nWhat to do: Slow/)
    expect(JSON.parse((await subten(['explain', 'QUEUE_FULL', '--json'])).out)).toMatchObject({
      code: 'QUEUE_FULL',
      http: 503,
    })
  })

  it('lists the codes, with exit code 2 for one that is not known', async () => {
    expect(await subten(['explain'])).toMatchObject({ code: 0, out: expect.stringContaining('SLOT_RELEASED') })
    for (const code of ['NONSENSE', '__proto__', 'constructor']) {
      const ran = await subten(['explain', code])
      expect(ran).toMatchObject({ code: 2, err: expect.stringContaining('SLOT_RELEASED') })
    }
  })
})

describe('subten inspect', () => {
  it('shows tensors, labels, metadata and configuration', async () => {
    const ran = await subten(['inspect', 'models/vector'])
    expect(ran.code).toBe(0)
    expect(ran.out).toMatch(/vector, version 1, engine fake, batches of up to 8/)
    expect(ran.out).toMatch(/output\s+y\s+FP32\s+\[-1, 3\]\s+3 labels/)
    expect(ran.out).toContain('producer: a test')
    const json = JSON.parse((await subten(['inspect', 'models/vector', '--json'])).out)
    expect(json).toMatchObject({ name: 'vector', labels: { y: ['a', 'b', 'c'] }, inputs: [{ name: 'x' }] })
  })
})

describe('subten infer', () => {
  it('prints each response of a decoupled model as it comes', async () => {
    const y = { name: 'y', datatype: 'FP32', shape: [1] } as const
    const models = {
      parts: () => fakeModel({ inputs: [], outputs: [y] }, { decoupled: true, parts: 2, outputs: { y: [7] } }),
    }
    const text = await subten(['infer', 'parts', '-'], { models, stdin: Buffer.from('{}') })
    expect(text).toMatchObject({ code: 0, err: '2 parts' })
    expect(text.out).toContain('part 1\ny FP32 [1]\n  7')
    const json = await subten(['infer', 'parts', '-', '--format', 'json'], { models, stdin: Buffer.from('{}') })
    expect(json.out.split('\n').map((line) => JSON.parse(line).part)).toEqual([0, 1])
  })

  it('takes tensors by name, flat or nested, and a KServe request', async () => {
    const ask = async (json: string) => {
      const ran = await subten(['infer', 'models/vector', '--json', file('in.json', json), '--format', 'json'])
      expect(ran.err).toBe('')
      return JSON.parse(ran.out).outputs[0]
    }
    const expected = { name: 'y', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] }
    expect(await ask('{"x":[1,2,3]}')).toEqual(expected)
    expect(await ask('{"x":[[1,2,3]]}')).toEqual(expected)
    expect((await ask('{"x":[[1,2,3],[4,5,6]]}')).shape).toEqual([2, 3])
    expect(await ask('{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}')).toEqual(expected)
  })

  it('prints figures for people', async () => {
    const ran = await subten(['infer', 'models/vector', '-'], { stdin: Buffer.from('{"x":[1,2,3]}') })
    expect(ran).toMatchObject({ code: 0, out: 'y FP32 [1, 3]\n  1 2 3' })
  })

  it('ranks the labels of a picture', async () => {
    const model = () =>
      fakeModel(
        {
          inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 1, 8, 8] }],
          outputs: [{ name: 'p', datatype: 'FP32', shape: [-1, 3] }],
          labels: { p: ['a', 'b', 'c'] },
        },
        { outputs: { p: [0.2, 0.7, 0.1] } },
      )
    const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#fff' } })
      .png()
      .toBuffer()
    const models = { image: model }
    const ran = await subten(['infer', 'image', '--image', file('a.png', png), '--top', '2'], { models })
    expect(ran).toMatchObject({ code: 0, out: 'label   score\nb      0.7000\na      0.2000' })
    const piped = await subten(['infer', 'image', '-', '--format', 'json'], { models, stdin: png })
    expect(JSON.parse(piped.out).top[0]).toMatchObject({ label: 'b', index: 1 })
  })

  it('refuses bad input plainly', async () => {
    const json = (text: string) => ['infer', 'models/vector', '--json', file('bad.json', text)]
    expect(await subten(json('{"x":[1,2]}'))).toMatchObject({ code: 1, err: expect.stringMatching(/^INVALID_INPUT: /) })
    expect(await subten(json('{"z":[1]}'))).toMatchObject({ code: 1, err: expect.stringContaining("no input 'z'") })
    expect(await subten(json('no'))).toMatchObject({ code: 1 })
    expect(await subten(['infer', 'models/vector'])).toMatchObject({ code: 2 })
    expect(await subten(['infer', 'models/vector', 'x'])).toMatchObject({ code: 2 })
    expect(await subten(['infer', 'models/vector', '--json', join(folder, 'absent')])).toMatchObject({ code: 1 })
  })
})
