import { expect, it } from 'vitest'
import { ERROR_TABLE, type ErrorCode } from '../../../src/runtime/error-table.js'
import { SubtenError } from '../../../src/runtime/errors.js'
import { toProblem, withoutPaths } from '../../../src/server/problem.js'

it('every code has the status of the error table', () => {
  for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
    expect(toProblem(new SubtenError(code, 'm'))).toMatchObject({ status: ERROR_TABLE[code].http, code, message: 'm' })
  }
})

it('an unexpected error tells a client nothing of the inside', () => {
  const problem = toProblem(new TypeError('cannot read /home/me/secret.ts'))
  expect(problem).toMatchObject({ status: 500, code: 'INTERNAL' })
  expect(JSON.stringify(problem)).not.toContain('secret')
  expect(toProblem(undefined).status).toBe(500)
})

it('paths of the machine shrink to their last part; routes and URLs stay', () => {
  expect(withoutPaths('no /srv/models/digits/1/model.onnx here')).toBe('no model.onnx here')
  expect(withoutPaths("at '/opt/x y/lib.so'")).not.toContain('/opt/x ')
  expect(withoutPaths('send it to /v2/models/{model}/infer')).toBe('send it to /v2/models/{model}/infer')
  expect(withoutPaths('https://host/a/b and 1/2/3')).toBe('https://host/a/b and 1/2/3')
})
