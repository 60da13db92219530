import type { Command } from 'commander'
import type { Context } from './context.js'
import { addSlaLive } from './sla-live.js'

/** `subten sla …`: contracts. */
export function addSla(program: Command, context: Context): void {
  const sla = program.command('sla').description('SLA contracts: how a server stands to its contract')
  addSlaLive(sla, context)
}
