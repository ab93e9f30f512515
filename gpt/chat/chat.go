// Package chat has conversations with models.
package chat
