import type { Command } from 'commander'
import type { Context } from './context.js'

/** Commands that ask a running server: none yet. */
export function addSlaLive(_sla: Command, _context: Context): void {}
