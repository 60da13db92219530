import type { Clock } from '../../../src/sla/timeline.js'
import type { AlertPolicy, Contract, Objective } from '../../../src/sla/types.js'

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** Table 5-8 of the Site Reliability Workbook. */
export const WORKBOOK: AlertPolicy = {
  name: 'workbook',
  conditions: [
    { severity: 'page', burnRate: 14.4, longMs: HOUR, shortMs: 5 * MINUTE },
    { severity: 'page', burnRate: 6, longMs: 6 * HOUR, shortMs: 30 * MINUTE },
    { severity: 'ticket', burnRate: 1, longMs: 3 * DAY, shortMs: 6 * HOUR },
  ],
  targets: [],
}

/** 99.9 % of requests to `digits` end well, over 30 days. */
export function objective(changes: Partial<Objective> = {}): Objective {
  return {
    name: 'digits-available',
    description: '',
    service: 'reading',
    owner: 'team-a',
    indicator: { kind: 'availability', model: 'digits', point: 'engine' },
    target: 0.999,
    window: { kind: 'rolling', ms: 30 * DAY },
    minimumEvents: 0,
    alerts: [],
    consequences: 'a refund of 10 %',
    enforce: false,
    source: { file: '/srv/contracts/digits.yaml', line: 7 },
    ...changes,
  }
}

export function contract(...objectives: Objective[]): Contract {
  return { file: '/srv/contracts/digits.yaml', services: [], objectives, maintenance: [] }
}

/** A clock that a test moves. */
export class TestClock implements Clock {
  #wall: number
  #monotonic = 0

  constructor(wall = Date.UTC(2026, 0, 1)) {
    this.#wall = wall
  }

  wall(): number {
    return this.#wall
  }

  monotonic(): number {
    return this.#monotonic
  }

  /** Both clocks go on. */
  pass(ms: number): void {
    this.#wall += ms
    this.#monotonic += ms
  }

  /** The wall clock is set. */
  jump(ms: number): void {
    this.#wall += ms
  }
}
