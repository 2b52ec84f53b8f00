"""The files of a layer: from tar streams to trees and back."""
