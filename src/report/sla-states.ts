import type { ObjectiveStatus } from '../sla/types.js'
import type { Tone } from './frame.js'

/** How a state of an objective shows. */
export const STATES: Readonly<Record<ObjectiveStatus['state'], { tone: Tone; text: string }>> = {
  met: { tone: 'good', text: 'met' },
  'at-risk': { tone: 'warn', text: 'at risk' },
  broken: { tone: 'bad', text: 'broken' },
  'too-few': { tone: 'plain', text: 'too few events' },
}
