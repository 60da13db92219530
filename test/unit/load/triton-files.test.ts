import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { tritonFiles } from '../../../src/load/triton-files.js'

const before = process.env.TRITON_SERVER_LIB

describe('where Triton is looked for', () => {
  afterEach(() => {
    if (before === undefined) delete process.env.TRITON_SERVER_LIB
    else process.env.TRITON_SERVER_LIB = before
  })

  const tree = (...files: string[]): string => {
    const root = mkdtempSync(join(tmpdir(), 'subten-triton-'))
    for (const file of files) {
      mkdirSync(dirname(join(root, file)), { recursive: true })
      writeFileSync(join(root, file), '')
    }
    return root
  }

  it('a named library, its folder or its tree is found, with what lies around it', () => {
    const root = tree('lib/libtritonserver.so', 'backends/x', 'caches/x', 'python/bin/python3')
    const files = {
      library: join(root, 'lib/libtritonserver.so'),
      backendDirectory: join(root, 'backends'),
      cacheDirectory: join(root, 'caches'),
      python: join(root, 'python'),
    }
    for (const named of ['', 'lib', 'lib/libtritonserver.so'])
      expect(tritonFiles(join(root, named)).files).toEqual(files)
  })

  it('a link to the library has the folders of the tree that it points into', () => {
    const root = tree('lib/libtritonserver.so', 'backends/x')
    const other = tree('readme')
    symlinkSync(join(root, 'lib/libtritonserver.so'), join(other, 'libtritonserver.so'))
    expect(tritonFiles(join(other, 'libtritonserver.so')).files).toEqual({
      library: join(other, 'libtritonserver.so'),
      backendDirectory: join(root, 'backends'),
    })
  })

  it('TRITON_SERVER_LIB comes after the option, and what is named is not replaced by another', () => {
    const root = tree('lib/libtritonserver.so')
    process.env.TRITON_SERVER_LIB = root
    expect(tritonFiles().files?.library).toBe(join(root, 'lib/libtritonserver.so'))
    expect(tritonFiles('/nowhere').files).toBeUndefined()
    process.env.TRITON_SERVER_LIB = '/nowhere/libtritonserver.so'
    expect(tritonFiles()).toEqual({ looked: ['/nowhere/libtritonserver.so'] })
  })

  it('else it is the checkout, then the container', () => {
    delete process.env.TRITON_SERVER_LIB
    const { looked } = tritonFiles()
    expect(looked[0]).toMatch(/\.cache\/triton\/lib\/libtritonserver\.so$/)
  })
})
