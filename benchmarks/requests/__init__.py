"""Requests a second, from 64 connections at once."""
