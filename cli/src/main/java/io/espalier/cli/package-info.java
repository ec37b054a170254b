/** The command line: picocli commands without logic of their own. */
@NullMarked
package io.espalier.cli;

import org.jspecify.annotations.NullMarked;
