"""What is computed: studies, sums, analyses, tasks. Pure: no disk, no sockets."""
