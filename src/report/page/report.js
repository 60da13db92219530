// Draws the charts of a report with uPlot. Everything else of the page is there without a script.
;(() => {
  const charts = JSON.parse(document.getElementById('charts').textContent)
  const boxes = [...document.querySelectorAll('[data-chart]')]
  const drawn = new Map()
  const groups = new Map()

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
  const digits = (value) => {
    if (value === 0) return '0'
    const size = Math.floor(Math.log10(Math.abs(value)))
    const places = Math.max(0, 2 - size)
    return Number(value.toFixed(Math.min(places, 9))).toLocaleString('en-US', {
      maximumFractionDigits: Math.min(places, 9),
    })
  }
  const time = (us) => {
    if (us == null) return '–'
    if (us >= 999500) return `${digits(us / 1e6)} s`
    return us >= 999.5 ? `${digits(us / 1e3)} ms` : `${digits(us)} µs`
  }
  const rate = (value) => (value == null ? '–' : `${digits(value)}/s`)
  const share = (value) => (value == null ? '–' : `${Number(value.toFixed(value > 99 ? 3 : 2))} %`)
  const seconds = (value) =>
    value == null
      ? '–'
      : value >= 7200
        ? `${digits(value / 3600)} h`
        : value >= 300
          ? `${digits(value / 60)} min`
          : `${digits(value)} s`
  const clock = (at) => `${new Date(at * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`

  const axis = (rest) => ({
    stroke: color('soft'),
    grid: { stroke: color('line'), width: 1 },
    ticks: { stroke: color('line'), width: 1, size: 4 },
    font: '12px system-ui, sans-serif',
    gap: 4,
    ...rest,
  })
  /** Room for the longest label. */
  const labelled = (format, rest) =>
    axis({
      values: (_, splits) => splits.map((split) => (split == null ? null : format(split))),
      // The same in all charts, so that those one above the other have one axis of time.
      size: 62,
      ...rest,
    })

  /** A logarithmic scale where values lie far apart, else one from 0. */
  function scaleFor(lists, also = []) {
    let least = Infinity
    let most = 0
    for (const list of [...lists, also]) {
      for (const value of list) {
        if (value == null || !(value > 0)) continue
        if (value < least) least = value
        if (value > most) most = value
      }
    }
    if (most === 0) return { scale: { range: [0, 1] }, log: false }
    if (most / least > 15) {
      // Room above and below, not whole decades: half of the plot would be empty.
      return { scale: { distr: 3, log: 10, range: [least / 1.3, most * 1.3] }, log: true }
    }
    return { scale: { range: [0, most * 1.08] }, log: false }
  }
  /** Of a logarithmic axis 1, 2 and 5 of each decade, or 1 alone where they are many. */
  const logSplits = (_, __, low, high) => {
    const all = []
    const steps = Math.log10(high / low) > 3.2 ? [1] : Math.log10(high / low) > 1.8 ? [1, 3] : [1, 2, 5]
    for (let decade = 10 ** Math.floor(Math.log10(low)); decade <= high; decade *= 10) {
      for (const step of steps) if (step * decade >= low && step * decade <= high) all.push(step * decade)
    }
    return all
  }
  const timeAxis = (log) => labelled(time, log ? { splits: logSplits, filter: (_, splits) => splits } : {})

  const cursorPoint = { size: 7, width: 2 }
  const line = (name, stroke, value, rest) => ({
    label: name,
    stroke: color(stroke),
    width: 1.75,
    value,
    points: { show: false },
    spanGaps: false,
    ...rest,
  })
  /** One point, or a point between gaps, makes no line. */
  const alone = (list) => list.filter((value) => value != null).length < 3

  const dashed = (chart, scale, value, stroke, label) => {
    const y = chart.valToPos(value, scale, true)
    const { left, top, width, height } = chart.bbox
    if (!(y >= top && y <= top + height)) return
    const { ctx } = chart
    ctx.save()
    ctx.strokeStyle = ctx.fillStyle = color(stroke)
    ctx.lineWidth = devicePixelRatio
    ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio])
    ctx.beginPath()
    ctx.moveTo(left, y)
    ctx.lineTo(left + width, y)
    ctx.stroke()
    if (label) {
      ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`
      ctx.textAlign = 'right'
      const above = y - top > 18 * devicePixelRatio
      const [right, middle] = [left + width - 6 * devicePixelRatio, y + (above ? -10 : 11) * devicePixelRatio]
      const room = ctx.measureText(label).width
      ctx.textBaseline = 'middle'
      ctx.globalAlpha = 0.85
      ctx.fillStyle = color('card')
      ctx.fillRect(
        right - room - 3 * devicePixelRatio,
        middle - 7 * devicePixelRatio,
        room + 6 * devicePixelRatio,
        14 * devicePixelRatio,
      )
      ctx.globalAlpha = 1
      ctx.fillStyle = color(stroke)
      ctx.fillText(label, right, middle)
    }
    ctx.restore()
  }
  const ringed = (chart, x, y, stroke, filled) => {
    const { ctx } = chart
    ctx.save()
    ctx.beginPath()
    ctx.arc(x, y, 4.5 * devicePixelRatio, 0, 2 * Math.PI)
    ctx.strokeStyle = color(stroke)
    ctx.fillStyle = filled ? color(stroke) : color('card')
    ctx.lineWidth = 2 * devicePixelRatio
    ctx.fill()
    ctx.stroke()
    ctx.restore()
  }

  const kinds = {
    latency({ at, p50, p99, max, group }) {
      const { scale, log } = scaleFor([p50, p99, max])
      const few = alone(max)
      const points = (stroke) => ({ show: few, size: 7, fill: color(stroke) })
      return {
        data: [at, max, p99, p50],
        group,
        scales: { x: xRange(at), y: scale },
        axes: [labelled(seconds, { size: 28 }), timeAxis(log)],
        series: [
          {},
          line('max', 'max', time, { width: 1.25, points: points('max') }),
          line('p99', 'p99', time, { points: points('p99') }),
          line('p50', 'p50', time, { points: points('p50') }),
        ],
        names: { max: time, p99: time, p50: time },
        head: seconds,
      }
    },
    rate({ at, sent, succeeded, bad, group }) {
      const few = at.length < 3
      return {
        data: [at, sent, succeeded, bad],
        group,
        scales: { x: xRange(at), y: { range: [0, 1.08 * (greatest(sent, succeeded, bad) || 1)] } },
        axes: [labelled(seconds, { size: 28 }), labelled(digits)],
        series: [
          {},
          line('sent', 'soft', rate, { dash: [4, 3], width: 1.25, points: { show: few, size: 7 } }),
          line('answered', 'publish', rate, { points: { show: few, size: 7, fill: color('publish') } }),
          line('bad', 'bad', rate, {
            fill: `${color('bad')}40`,
            width: 1.25,
            points: { show: few && bad.some((n) => n > 0), size: 7 },
          }),
        ],
        names: { sent: rate, answered: rate, bad: rate },
        head: seconds,
      }
    },
    percentiles({ lines }) {
      const xs = [...new Set(lines.flatMap((each) => each.x))].sort((a, b) => a - b)
      const data = [xs, ...lines.map((each) => onto(xs, each))]
      const { scale, log } = scaleFor(lines.map((each) => each.us))
      const most = Math.max(1.02, ...xs)
      const marks = [0, Math.log10(2), 1, 2, 3, 4].filter((x) => x <= most)
      const name = (x) => (x === 0 ? '0' : x < 1 ? 'p50' : `p${['90', '99', '99.9', '99.99'][x - 1]}`)
      const [only] = lines
      return {
        data,
        scales: { x: { time: false, range: [0, most] }, y: scale },
        axes: [labelled(name, { size: 28, splits: () => marks, filter: (_, splits) => splits }), timeAxis(log)],
        series: [{}, ...lines.map((each, i) => line(each.label, `line-${i + 1}`, time, { spanGaps: true }))],
        names: lines.length === 1 ? { latency: time } : Object.fromEntries(lines.map((each) => [each.label, time])),
        head: (x) => `p${Number((100 * (1 - 10 ** -x)).toFixed(Math.max(0, Math.ceil(x))))}`,
        hooks: {
          drawClear: [
            (chart) => {
              if (lines.length !== 1 || only.thinFrom >= most) return
              const { left, top, width, height } = chart.bbox
              const x = Math.max(left, chart.valToPos(only.thinFrom, 'x', true))
              chart.ctx.save()
              chart.ctx.fillStyle = color('thin')
              chart.ctx.fillRect(x, top, left + width - x, height)
              chart.ctx.restore()
            },
          ],
        },
      }
    },
    throughput({ rate: rates, p50, p99, valid, labels }) {
      const { scale, log } = scaleFor([p50, p99])
      const kept = (list) => list.map((value, i) => (valid[i] ? value : null))
      return {
        data: [rates, kept(p50), kept(p99)],
        scales: { x: { time: false, range: [0, 1.04 * rates.at(-1)] }, y: scale },
        axes: [labelled(rate, { size: 28 }), timeAxis(log)],
        series: ['p50', 'p99'].map((name) =>
          line(name, name, time, { spanGaps: true, points: { show: true, size: 7, fill: color(name) } }),
        ),
        names: { p50: time, p99: time },
        head: (_, i) => labels[i],
        hooks: {
          draw: [
            (chart) => {
              rates.forEach((x, i) => {
                if (valid[i]) return
                for (const value of [p50[i], p99[i]]) {
                  if (value != null)
                    ringed(chart, chart.valToPos(x, 'x', true), chart.valToPos(value, 'y', true), 'bad', false)
                }
              })
            },
          ],
        },
      }
    },
    search({ rate: rates, us, ok, limitUs, found }) {
      const order = rates.map((_, i) => i).sort((a, b) => rates[a] - rates[b])
      const xs = order.map((i) => rates[i])
      const ys = order.map((i) => (us[i] > 0 ? us[i] : null))
      const { scale, log } = scaleFor([ys], [limitUs])
      const [least, most] = [xs[0], xs.at(-1)]
      const room = Math.max((most - least) * 0.05, most * 0.02)
      return {
        data: [xs, ys],
        scales: { x: { time: false, range: [Math.max(0, least - room), most + room] }, y: scale },
        axes: [labelled(rate, { size: 28 }), timeAxis(log)],
        series: [line('', 'soft', time, { stroke: 'transparent' })],
        names: {},
        head: (_, i) => `${rate(xs[i])}: ${time(ys[i])}`,
        hooks: {
          draw: [
            (chart) => {
              dashed(chart, 'y', limitUs, 'soft', `limit ${time(limitUs)}`)
              const { ctx, bbox } = chart
              const x = chart.valToPos(found, 'x', true)
              ctx.save()
              ctx.strokeStyle = color('good')
              ctx.lineWidth = 1.5 * devicePixelRatio
              ctx.beginPath()
              ctx.moveTo(x, bbox.top)
              ctx.lineTo(x, bbox.top + bbox.height)
              ctx.stroke()
              ctx.restore()
              order.forEach((i, place) => {
                // A step without a latency (nothing was answered) stands at the top.
                const y = ys[place] == null ? bbox.top + 6 * devicePixelRatio : chart.valToPos(ys[place], 'y', true)
                ringed(chart, chart.valToPos(xs[place], 'x', true), y, ok[i] ? 'good' : 'bad', ok[i])
              })
            },
          ],
        },
      }
    },
    curves({ lines, limitUs }) {
      const xs = [...new Set(lines.flatMap((each) => each.x))].sort((a, b) => a - b)
      const { scale, log } = scaleFor(
        lines.map((each) => each.us),
        [limitUs],
      )
      const point = (i) => ({ show: true, size: 6, fill: color(`line-${i + 1}`) })
      return {
        data: [xs, ...lines.map((each) => onto(xs, each))],
        scales: {
          x: { time: false, range: [xs[0] > 0.3 * xs.at(-1) ? 0.9 * xs[0] : 0, 1.03 * (xs.at(-1) ?? 1)] },
          y: scale,
        },
        axes: [labelled(rate, { size: 28 }), timeAxis(log)],
        series: [
          {},
          ...lines.map((each, i) => line(each.label, `line-${i + 1}`, time, { spanGaps: true, points: point(i) })),
        ],
        names: Object.fromEntries(lines.map((each) => [each.label, time])),
        head: rate,
        hooks: { draw: [(chart) => dashed(chart, 'y', limitUs, 'ink', `contract ${time(limitUs)}`)] },
      }
    },
    scatter({ points }) {
      // One repeat on a busy machine must not flatten the rest.
      const most = 1.25 * (Math.max(...points.map((each) => each.x)) || 1)
      const low = Math.min(...points.map((each) => each.yLow))
      const high = Math.max(...points.map((each) => each.yHigh))
      const room = Math.max(0.2, (high - low) * 0.15)
      const order = points.map((_, i) => i).sort((a, b) => points[a].x - points[b].x)
      return {
        data: [order.map((i) => points[i].x), order.map((i) => points[i].y)],
        scales: {
          x: { time: false, range: [0, most] },
          y: { range: [low - room, Math.min(100 + room, high + room)] },
        },
        axes: [labelled(time, { size: 28 }), labelled(share)],
        series: [line('', 'soft', share, { stroke: 'transparent' })],
        names: {},
        head: (_, i) => `${points[order[i]].label}: ${share(points[order[i]].y)}, ${time(points[order[i]].x)}`,
        hooks: {
          draw: [
            (chart) => {
              const { ctx, bbox } = chart
              for (const each of points) {
                const [x, y] = [chart.valToPos(each.x, 'x', true), chart.valToPos(each.y, 'y', true)]
                const reach = (x0, y0, x1, y1) => {
                  ctx.beginPath()
                  ctx.moveTo(x0, y0)
                  ctx.lineTo(x1, y1)
                  ctx.stroke()
                }
                ctx.save()
                ctx.strokeStyle = color(each.color)
                ctx.globalAlpha = 0.6
                ctx.lineWidth = 2 * devicePixelRatio
                reach(x, chart.valToPos(each.yLow, 'y', true), x, chart.valToPos(each.yHigh, 'y', true))
                reach(chart.valToPos(each.xLow, 'x', true), y, chart.valToPos(Math.min(each.xHigh, most), 'x', true), y)
                ctx.restore()
                ringed(chart, x, y, each.color, true)
                ctx.save()
                ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`
                ctx.fillStyle = color('ink')
                const right = x + ctx.measureText(each.label).width + 12 * devicePixelRatio < bbox.left + bbox.width
                ctx.textAlign = right ? 'left' : 'right'
                ctx.textBaseline = 'bottom'
                ctx.fillText(each.label, x + (right ? 9 : -9) * devicePixelRatio, y - 5 * devicePixelRatio)
                ctx.restore()
              }
            },
          ],
        },
      }
    },
    good({ at, good, target, group }) {
      const least = Math.min(target, ...good.filter((value) => value != null))
      const low = Math.max(0, 100 - 1.25 * Math.max(100 - least, 0.001))
      const few = alone(good)
      return {
        data: [at, good],
        group,
        scales: { x: dayRange(at), y: { range: [low, 100 + (100 - low) * 0.04] } },
        axes: [dayAxis(), labelled(share)],
        series: [{}, line('good', 'publish', share, { points: { show: few, size: 7, fill: color('publish') } })],
        names: { good: share },
        head: clock,
        hooks: { draw: [(chart) => dashed(chart, 'y', target, 'ink', `promised ${share(target)}`)] },
      }
    },
    burn({ at, burn, alerts, group }) {
      const few = alone(burn)
      const highest = Math.max(1, ...burn.filter((value) => value != null))
      const shown = alerts.filter(({ burnRate }) => burnRate <= highest * 4)
      const most = 1.15 * Math.max(highest, ...shown.map(({ burnRate }) => burnRate))
      return {
        data: [at, burn],
        group,
        scales: { x: dayRange(at), y: { range: [0, most] } },
        axes: [dayAxis(), labelled((value) => `${digits(value)}×`)],
        series: [
          {},
          line('burn', 'queue', (value) => (value == null ? '–' : `${digits(value)}×`), {
            fill: `${color('queue')}30`,
            points: { show: few, size: 7, fill: color('queue') },
          }),
        ],
        names: { burn: (value) => (value == null ? '–' : `${digits(value)}×`) },
        head: clock,
        hooks: {
          draw: [
            (chart) => {
              for (const { burnRate, severity } of shown)
                dashed(chart, 'y', burnRate, severity === 'page' ? 'bad' : 'warn', `${severity} ${digits(burnRate)}×`)
            },
          ],
        },
      }
    },
  }

  const greatest = (...lists) => lists.reduce((most, list) => list.reduce((m, value) => Math.max(m, value), most), 0)
  const xRange = (at) => ({
    time: false,
    range: at.length > 1 ? [at[0], at.at(-1)] : [at[0] ?? 0, (at[0] ?? 0) + 1],
  })
  const dayRange = (at) => ({
    time: true,
    range: at.length > 1 ? [at[0], at.at(-1)] : [(at[0] ?? 0) - 1800, (at[0] ?? 0) + 1800],
  })
  const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
  const day = (at) => {
    const text = new Date(at * 1000).toISOString()
    return text.slice(11, 16) === '00:00'
      ? `${Number(text.slice(8, 10))} ${MONTHS[Number(text.slice(5, 7)) - 1]}`
      : text.slice(11, 16)
  }
  const dayAxis = () => axis({ size: 28, space: 60, values: (_, splits) => splits.map(day) })

  /** Values of a curve at the places of all curves: its own, and nothing elsewhere. */
  function onto(xs, { x, us }) {
    const at = new Map(x.map((place, i) => [place, us[i]]))
    return xs.map((place) => at.get(place) ?? null)
  }

  function draw(box) {
    if (drawn.has(box) || box.offsetWidth === 0 || box.closest('details:not([open])')) return
    const chart = charts[Number(box.dataset.chart)]
    const { data, group, names, head, series, ...rest } = kinds[chart.kind](chart)
    const title = box.parentElement.querySelector('.chart-title')
    const plain = title.dataset.plain ?? title.textContent
    title.dataset.plain = plain
    const values = new Map(
      [...box.parentElement.querySelectorAll('[data-series]')].map((place) => [place.dataset.series, place]),
    )
    const options = {
      width: box.offsetWidth,
      height: box.offsetHeight,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        points: cursorPoint,
        drag: { x: chart.kind !== 'search' && chart.kind !== 'scatter', y: false },
        sync: group ? { key: `${group}` } : undefined,
      },
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), 'Etc/UTC'),
      ...rest,
      series: series[0] && !('label' in series[0]) ? series : [{}, ...series],
    }
    options.hooks = {
      ...rest.hooks,
      setCursor: [
        (plot) => {
          const i = plot.cursor.idx
          title.textContent = i == null ? plain : `${plain}: ${head(plot.data[0][i], i)}`
          options.series.slice(1).forEach((each, s) => {
            const name = values.has(each.label) ? each.label : Object.keys(names)[s]
            const place = values.get(name)
            const found = i == null ? null : plot.data[s + 1][i]
            if (place) place.textContent = i == null || found == null ? '' : names[name](found)
          })
        },
      ],
    }
    const plot = new uPlot(options, data, box)
    drawn.set(box, plot)
    if (group) groups.set(group, [...(groups.get(group) ?? []), plot])
  }

  function clear(box) {
    drawn.get(box)?.destroy()
    drawn.delete(box)
  }
  function redraw() {
    for (const box of [...drawn.keys()]) clear(box)
    groups.clear()
    for (const box of boxes) draw(box)
  }

  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const plot = drawn.get(target)
      if (!plot) draw(target)
      else if (target.offsetWidth > 0 && target.offsetWidth !== plot.width)
        plot.setSize({ width: target.offsetWidth, height: target.offsetHeight })
    }
  })
  for (const box of boxes) {
    draw(box)
    resized.observe(box)
  }
  // Colours are painted, so another scheme, and paper, take another painting.
  for (const query of ['(prefers-color-scheme: dark)', 'print']) matchMedia(query).addEventListener('change', redraw)
  addEventListener('beforeprint', redraw)
  addEventListener('afterprint', redraw)
  // What is folded is drawn when it is unfolded: fifty runs are two hundred charts.
  document.addEventListener('toggle', () => boxes.forEach(draw), true)
  addEventListener('hashchange', unfold)
  unfold()

  /** A link into a folded part unfolds it. */
  function unfold() {
    const place = location.hash.length > 1 && document.getElementById(location.hash.slice(1))
    if (place && place.tagName === 'DETAILS') place.open = true
  }
})()
