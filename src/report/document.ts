import { createHash } from 'node:crypto'
import uplotScript from 'uplot/dist/uPlot.iife.min.js?raw'
import uplotStyle from 'uplot/dist/uPlot.min.css?raw'
import uplotLicense from 'uplot/LICENSE?raw'
import type { ChartData } from './charts.js'
import { Html, html, scriptJson } from './html.js'
import icon from './page/icon.svg?raw'
import style from './page/report.css?raw'
import script from './page/report.js?raw'

/**
 * One file that needs nothing else: style and script stand in it, and its policy allows those two by their hashes and
 * nothing more, no request, no form, no frame. What a report says cannot become code even if it became markup.
 *
 * @param title of the window, unescaped
 * @param body what stands in it
 * @param charts drawn by the script, by their place in this list
 */
export function documentOf(title: string, body: Html, charts: readonly ChartData[]): string {
  const styles = `${uplotStyle}\n${style}`
  const code = `${uplotScript}\n${script}`
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(code)}`,
    `style-src ${hashOf(styles)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<link rel="icon" href="data:image/svg+xml;base64,${Buffer.from(icon).toString('base64')}">
<!-- The charts are drawn by uPlot:
${new Html(uplotLicense.replaceAll('--', '- -'))}
-->
<style>${new Html(styles)}</style>
</head>
<body>
${body}
<script type="application/json" id="charts">${scriptJson(charts)}</script>
<script>${new Html(code)}</script>
</body>
</html>
`
  return page.text
}

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
