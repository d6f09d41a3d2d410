"""What `import pocketgan` offers: see the names in the package itself."""
