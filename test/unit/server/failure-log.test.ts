import type { FastifyBaseLogger } from 'fastify'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SubtenError } from '../../../src/runtime/errors.js'
import { FailureLog } from '../../../src/server/failure-log.js'
import { toProblem } from '../../../src/server/problem.js'

describe('FailureLog', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  function logOf(): { log: FastifyBaseLogger; lines: [object, string][] } {
    const lines: [object, string][] = []
    const log = { warn: (facts: object, text: string) => lines.push([facts, text]) } as unknown as FastifyBaseLogger
    return { log, lines }
  }
  const refused = (n: number): SubtenError => new SubtenError('SLO_UNREACHABLE', `request ${n} would be late`)

  it('logs a failure of the server with its error, and nothing of what the client did wrong', () => {
    const { log, lines } = logOf()
    const failures = new FailureLog(log)
    const broken = new SubtenError('ENGINE_FAILED', 'the engine has failed')
    failures.add(log, broken, toProblem(broken))
    const wrong = new SubtenError('INVALID_INPUT', 'a wrong shape')
    failures.add(log, wrong, toProblem(wrong))
    expect(lines).toEqual([[{ err: broken }, 'ENGINE_FAILED']])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('counts refusals: one line at once, then one a second, and none when there are none', () => {
    const { log, lines } = logOf()
    const failures = new FailureLog(log)
    for (let n = 1; n <= 500; n++) failures.add(log, refused(n), toProblem(refused(n)))
    expect(lines).toEqual([[{ code: 'SLO_UNREACHABLE' }, 'SLO_UNREACHABLE: request 1 would be late']])
    vi.advanceTimersByTime(1000)
    expect(lines[1]).toEqual([
      { code: 'SLO_UNREACHABLE', count: 499 },
      'SLO_UNREACHABLE: 499 more in about a second, the last: request 500 would be late',
    ])
    vi.advanceTimersByTime(5000)
    expect(lines.length).toBe(2)
    expect(vi.getTimerCount()).toBe(0)
    failures.add(log, refused(501), toProblem(refused(501)))
    expect(lines[2]?.[1]).toBe('SLO_UNREACHABLE: request 501 would be late')
  })

  it('keeps codes apart, and writes what is left at the end', () => {
    const { log, lines } = logOf()
    const failures = new FailureLog(log)
    const late = new SubtenError('DEADLINE_EXCEEDED', 'too late')
    for (let n = 0; n < 3; n++) {
      failures.add(log, late, toProblem(late))
      failures.add(log, refused(n), toProblem(refused(n)))
    }
    expect(lines.length).toBe(2)
    failures.flush()
    failures.close()
    expect(lines.slice(2).map(([facts]) => facts)).toEqual([
      { code: 'DEADLINE_EXCEEDED', count: 2 },
      { code: 'SLO_UNREACHABLE', count: 2 },
    ])
  })
})
