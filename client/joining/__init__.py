"""How a hospital joins: its folder, its keys, its approvals, and the connection kept up."""
