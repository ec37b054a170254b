/** What a saved model consists of, read from its file without loading it. */
@NullMarked
package io.espalier.cli.inspect;

import org.jspecify.annotations.NullMarked;
