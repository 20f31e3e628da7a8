/** An `invoke` of kind `api` -> `req`, the first argument of handlers. Owns its shape. */

import { contentOf, type Post } from './posts.ts'
import { fromJson } from './values.ts'

interface RequestMembers {
  readonly pathParams?: object
  readonly queryParams?: object
  readonly headers?: object
  readonly body_kind?: string
  readonly body?: unknown
}

/** The request as one plain, mutable object. */
export function requestOf(post: Post): Record<string, unknown> {
  const request = (post.header['request'] ?? {}) as RequestMembers
  const raw = contentOf(post.sections[0] ?? '')
  return {
    body: bodyOf(request, raw),
    pathParams: request.pathParams ?? {},
    queryParams: request.queryParams ?? {},
    headers: request.headers ?? {},
    rawBody: raw,
    auth: post.header['auth'] ?? null,
  }
}

function bodyOf(request: RequestMembers, raw: string | Buffer): unknown {
  switch (request.body_kind) {
    case 'json':
      return fromJson(raw.toString())
    case 'text':
      return raw
    case 'inline':
      return request.body
    default:
      return {}
  }
}
