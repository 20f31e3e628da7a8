export function causeTrouble(): never {
  throw new Error('the secret is kaboom')
}
