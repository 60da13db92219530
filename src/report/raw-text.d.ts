/** The text of a file, put in at build time (by tsup.config.ts; vitest knows `?raw` by itself). */
declare module '*?raw' {
  const text: string
  export default text
}
