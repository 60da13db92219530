import type { Repeated } from '../profile/report-types.js'
import { card } from './frame.js'
import { type Html, html } from './html.js'
import { counted, figure, rate, time } from './quantities.js'

/** What several processes say together: the figures to take along, since they hold what varies between processes. */
export function repeatedCard({ processes, invalid, figures }: Repeated): Html {
  const left =
    invalid > 0 && `; ${counted(invalid, 'process', 'processes')} had a run whose schedule was not kept: it is left out`
  const lead = html`Medians over the processes${left}. The intervals of 95 % hold what differs from process to process; those of the runs below do not.`
  const value = (of: number, unit: string): string =>
    unit === 'µs' ? time(of) : unit === '1/s' ? rate(of) : `${figure(of)} ${unit}`
  return card(
    'processes',
    `In ${counted(processes, 'process', 'processes')}`,
    lead,
    html`<div class="scroll"><table class="numbers">
<thead><tr><th>figure</th><th>median</th><th>interval</th><th>lowest</th><th>highest</th></tr></thead>
<tbody>${figures.map(
      ({ what, unit, each, ...centre }) =>
        html`<tr><th>${what}</th><td><b>${value(centre.value, unit)}</b></td><td class="soft">${value(centre.low, unit)} to ${value(centre.high, unit)}</td><td>${value(Math.min(...each), unit)}</td><td>${value(Math.max(...each), unit)}</td></tr>`,
    )}</tbody></table></div>`,
  )
}
