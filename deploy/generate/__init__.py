"""What is generated and committed, so that others can read it without our code: contracts of the topics, tables of the services."""
