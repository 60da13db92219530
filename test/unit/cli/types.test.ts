import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, it } from 'vitest'
import { declarations } from '../../../src/cli/types.js'
import { subten } from './running-cli.js'

it('types writes the tensors of each model as the interface Models', () => {
  const text = declarations([
    {
      path: 'models/digits',
      inputs: [
        { name: 'image', datatype: 'FP32', shape: [-1, 1, 8, 8] },
        { name: 'mask', datatype: 'BOOL', shape: [-1], optional: true },
      ],
      outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 10] }],
    },
  ])
  expect(text).toBe(`// Made by \`subten types\`; run it again when a model changes.
import 'subten'

declare module 'subten' {
  interface Models {
    'models/digits': {
      inputs: { 'image': 'FP32'; 'mask'?: 'BOOL' }
      outputs: { 'probabilities': 'FP32' }
    }
  }
}`)
})

it('any tensor name is a property name', () => {
  const names = ["it's", 'back\\slash', 'new\nline', '"quoted"', 'class', '__proto__', 'input:0', '\u2028', `\`$\{x}\``]
  const text = declarations([
    { path: 'm', inputs: names.map((name) => ({ name, datatype: 'FP32', shape: [] })), outputs: [] },
  ])
  const source = ts.createSourceFile('a.d.ts', text, ts.ScriptTarget.ES2022, true)
  expect((source as unknown as { parseDiagnostics: unknown[] }).parseDiagnostics).toEqual([])
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isPropertySignature(node) && ts.isStringLiteral(node.name)) found.push(node.name.text)
    ts.forEachChild(node, visit)
  }
  visit(source)
  expect(found).toEqual(['m', 'inputs', ...names].filter((name) => name !== 'inputs'))
})

it('types fails plainly where there is no model', async () => {
  const empty = mkdtempSync(join(tmpdir(), 'subten-types-'))
  expect(await subten(['types', join(empty, 'absent')])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^MODEL_NOT_FOUND/),
  })
  expect(await subten(['types', empty])).toMatchObject({ code: 2 })
  mkdirSync(join(empty, 'broken'))
  expect(await subten(['types', empty])).toMatchObject({ code: 2, out: '' })
})
