"""``python -m sweettok_cli``, which is also what ``accelerate launch -m sweettok_cli`` runs."""

from sweettok_cli.cli.app import main

if __name__ == "__main__":
    main()
