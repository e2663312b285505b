/** Colours, one for each meaning: peers, channels, what is not known. */

export interface Theme {
  readonly sheet: string
  readonly sea: string
  readonly land: string
  readonly border: string
  readonly rule: string
  readonly text: string
  readonly muted: string
  readonly peers: string
  readonly channels: string
  /** Peers of which only the country is told. */
  readonly countryOnly: string
  /** Words that must not be overlooked. */
  readonly warning: string
}

export const themes: Readonly<Record<'light' | 'dark', Theme>> = {
  light: {
    sheet: '#fbfbf9',
    sea: '#f1f4f5',
    land: '#d9dedf',
    border: '#f4f6f6',
    rule: '#dfe2e4',
    text: '#14171c',
    muted: '#626a75',
    peers: '#d9480f',
    channels: '#4474b8',
    countryOnly: '#59636f',
    warning: '#a61e4d',
  },
  dark: {
    sheet: '#0a0e16',
    sea: '#0e1420',
    land: '#202b41',
    border: '#101827',
    rule: '#1f2838',
    text: '#eef1f6',
    muted: '#97a2b4',
    peers: '#ff9f43',
    channels: '#5c93e0',
    countryOnly: '#a9b5c8',
    warning: '#ff8fb1',
  },
}
