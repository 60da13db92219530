import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import yazl from 'yazl'
import { type NpyArray, npyHeader } from '../../../src/data/npy.js'
import { NPZ_LIMITS, readNpz, writeNpz } from '../../../src/data/npz.js'
import { SubtenError } from '../../../src/runtime/errors.js'

const fixture = (name: string) => fileURLToPath(new URL(`../../data/npz/${name}.npz`, import.meta.url))
const F4_OF_4 = "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }\n"
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'subten-npz-'))
})
afterAll(() => rm(folder, { recursive: true }))

const floats = (shape: number[], from = 0): NpyArray => ({
  datatype: 'FP32',
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => from + i),
})

/** A zip with these files, which may be no arrays. */
async function zipped(files: Record<string, Buffer>, name = 'made.npz'): Promise<string> {
  const zip = new yazl.ZipFile()
  for (const [file, bytes] of Object.entries(files)) zip.addBuffer(bytes, file)
  zip.end()
  const parts: Buffer[] = []
  for await (const part of zip.outputStream) parts.push(part as Buffer)
  const path = join(folder, name)
  await writeFile(path, Buffer.concat(parts))
  return path
}

const header = (text: string, version = 1): Buffer => {
  const head = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0, 0, 0])
  head.writeUInt16LE(text.length, 8)
  return Buffer.concat([head, Buffer.from(text)])
}

const refused = async (path: string): Promise<SubtenError> => {
  const error = await readNpz(path).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(SubtenError)
  expect(error).toMatchObject({ code: 'INVALID_INPUT', details: { file: path } })
  expect((error as SubtenError).message).toContain(path)
  return error as SubtenError
}

describe('readNpz', () => {
  it.each(['stored', 'deflated'])('reads every type that NumPy and subten share, %s', async (name) => {
    const arrays = await readNpz(fixture(name))
    const of = (array: string) => {
      const { datatype, shape, data } = arrays.get(array) as NpyArray
      return [datatype, shape, Array.from(data as ArrayLike<unknown>)]
    }
    expect(of('bool')).toEqual(['BOOL', [3], [0, 1, 1]])
    expect(of('u1')).toEqual(['UINT8', [3], [0, 1, 255]])
    expect(of('u2')).toEqual(['UINT16', [3], [0, 1, 65535]])
    expect(of('u4')).toEqual(['UINT32', [3], [0, 1, 2 ** 32 - 1]])
    expect(of('u8')).toEqual(['UINT64', [3], [0n, 1n, 2n ** 64n - 1n]])
    expect(of('i1')).toEqual(['INT8', [3], [-128, 1, 127]])
    expect(of('i2')).toEqual(['INT16', [3], [-32768, 1, 32767]])
    expect(of('i4')).toEqual(['INT32', [3], [-(2 ** 31), 1, 2 ** 31 - 1]])
    expect(of('i8')).toEqual(['INT64', [3], [-(2n ** 63n), 1n, 2n ** 63n - 1n]])
    expect(of('f2')).toEqual(['FP16', [3], [0xfbff, 0x3c00, 0x7bff]])
    expect(of('f4')[2]).toEqual([-3.4028234663852886e38, 1, 3.4028234663852886e38])
    expect(of('f8')).toEqual(['FP64', [3], [-Number.MAX_VALUE, 1, Number.MAX_VALUE]])
    expect(of('scalar')).toEqual(['FP32', [], [2.5]])
    expect(of('empty')).toEqual(['FP32', [0, 3], []])
    expect(of('cube')).toEqual(['FP32', [2, 3, 4], Array.from({ length: 24 }, (_, i) => i)])
  })

  it.each([
    ['fortran', /row-major \(C\) order is wanted, but the header says 'fortran_order': True/],
    ['big_endian', /little-endian elements/],
    ['objects', /'descr' is '\|O'/],
    ['strings', /'descr' is '<U2'/],
    ['records', /'descr' is \[\('a'/],
  ])('refuses %s, naming the array and the field', async (name, message) => {
    const error = await refused(fixture(name))
    expect(error.message).toMatch(message)
    expect(error.details).toMatchObject({ array: 'x', wanted: expect.any(String), given: expect.any(String) })
    expect(error.remedy).not.toBe('')
  })

  it('says what is wrong with a file that is not there, a folder, no zip, and half of one', async () => {
    expect((await refused(join(folder, 'none.npz'))).message).toContain('there is no such file')
    await refused(folder)
    const text = join(folder, 'text.npz')
    await writeFile(text, 'hello')
    await refused(text)
    const whole = await readFile(fixture('deflated'))
    const half = join(folder, 'half.npz')
    await writeFile(half, whole.subarray(0, whole.length / 2))
    await refused(half)
  })

  it.each<[string, Buffer, RegExp]>([
    ['another file', Buffer.from('hello, world'), /the \.npy format/],
    ['nothing', Buffer.alloc(0), /ends within its header/],
    ['half a header', npyHeader(floats([2]), { file: '', array: '' }).subarray(0, 40) as Buffer, /within its header/],
    ['version 9', header('{}', 9), /says version 9/],
    ['no dictionary', header('hello\n'), /a header with 'descr'/],
    ['a field twice', header("{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }"), /a header with 'descr'/],
    ['a shape of words', header("{'descr': '<f4', 'fortran_order': False, 'shape': 'x', }"), /shape of at most/],
    [
      'a shape beyond all numbers',
      header("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999, 999999999999999), }"),
      /shape of at most/,
    ],
    ['too few elements', Buffer.concat([header(F4_OF_4), Buffer.alloc(15)]), /16 bytes of elements .* there are 15/],
    ['too many elements', Buffer.concat([header(F4_OF_4), Buffer.alloc(17)]), /16 bytes of elements .* there are 17/],
  ])('refuses an array that is %s', async (_what, bytes, message) => {
    const error = await refused(await zipped({ 'x.npy': bytes }))
    expect(error.message).toMatch(message)
    expect(error.details).toMatchObject({ array: 'x' })
  })

  it('takes no memory for what a header or a zip only promises', async () => {
    const promise = header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }")
    expect((await refused(await zipped({ 'x.npy': promise }))).message).toMatch(/8000000000000 bytes of elements/)
    // The size of one entry in the directory, made 3 GB: deflate cannot make that of so few bytes.
    const path = await zipped({ 'x.npy': promise })
    const bytes = await readFile(path)
    bytes.writeUInt32LE(3_000_000_000, bytes.lastIndexOf('PK\u0001\u0002') + 24)
    await writeFile(path, bytes)
    expect((await refused(path)).message).toMatch(/more than deflate can make/)
  })

  it('stops a bomb at its limit, and too many arrays', async () => {
    const zeros = { datatype: 'UINT8', shape: [1_000_000], data: new Uint8Array(1_000_000) } as const
    const path = join(folder, 'bomb.npz')
    await writeNpz(path, { a: zeros, b: zeros })
    expect((await readFile(path)).length).toBeLessThan(10_000)
    await expect(readNpz(path, { ...NPZ_LIMITS, bytes: 1_500_000 })).rejects.toThrow(/at most 500000 bytes more/)
    await expect(readNpz(path, { ...NPZ_LIMITS, arrays: 1 })).rejects.toThrow(/at most 1 arrays/)
  })

  it('finds each byte that was changed in an array, or still reads the same', async () => {
    const path = join(folder, 'changed.npz')
    await writeNpz(path, { x: floats([16]) })
    const whole = await readFile(path)
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole)
      bytes[at] = (bytes[at] as number) ^ 0xff
      await writeFile(path, bytes)
      const arrays = await readNpz(path).catch((error: unknown) => error)
      if (arrays instanceof SubtenError) continue
      // What nobody needs may be anything: the time, the system, the name in the second place.
      expect(arrays).toBeInstanceOf(Map)
      for (const array of (arrays as Map<string, NpyArray>).values()) {
        expect(Array.from(array.data as Float32Array)).toEqual(Array.from({ length: 16 }, (_, i) => i))
      }
    }
  })

  it('ends with a SubtenError for bytes at random', async () => {
    const path = join(folder, 'random.npz')
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        await writeFile(path, bytes)
        await refused(path)
      }),
      { numRuns: 50 },
    )
  })
})

describe('writeNpz', () => {
  it('writes what readNpz reads', async () => {
    const path = join(folder, 'round.npz')
    const arrays = {
      image: floats([2, 3, 4], 0.5),
      labels: { datatype: 'INT64', shape: [2], data: BigInt64Array.of(1n, -2n) },
      half: { datatype: 'FP16', shape: [1, 2], data: Uint16Array.of(0x3c00, 0xc000) },
      scalar: { datatype: 'UINT8', shape: [], data: Uint8Array.of(7) },
      none: { datatype: 'FP32', shape: [0], data: new Float32Array(0) },
    } as const
    await writeNpz(path, arrays)
    expect(Object.fromEntries(await readNpz(path))).toEqual(arrays)
  })

  it('makes equal files of equal arrays', async () => {
    const [a, b] = [join(folder, 'a.npz'), join(folder, 'b.npz')]
    await writeNpz(a, { x: floats([8]) })
    await writeNpz(b, { x: floats([8]) })
    expect(await readFile(a)).toEqual(await readFile(b))
  })

  it('refuses what the format does not have, and leaves no file behind', async () => {
    const path = join(folder, 'refused.npz')
    const bf16 = { datatype: 'BF16', shape: [1], data: new Uint16Array(1) } as const
    await expect(writeNpz(path, { x: bf16 })).rejects.toThrow(/it is BF16/)
    await expect(writeNpz(path, { x: { ...floats([2]), shape: [3] } })).rejects.toThrow(/3 elements for shape \[3\]/)
    await expect(writeNpz(path, { '../x': floats([1]) })).rejects.toThrow(/without slashes/)
    await expect(readFile(path)).rejects.toThrow()
  })
})
