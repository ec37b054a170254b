package io.espalier.cli;

import io.espalier.onnx.quant.Quantizer;
import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Where a search is kept, so that it goes on when it is stopped and started again. */
final class JournalOption {
    @Option(
            names = "--journal",
            paramLabel = "FILE",
            description =
                    "Keep what the search of --mode auto finds in FILE; if FILE is there, go on"
                            + " from it. OUT.journal if left out, which is deleted at the end: a"
                            + " search that was stopped goes on when it is started again.")
    @Nullable Path journal;

    @Spec(Spec.Target.MIXEE)
    CommandSpec command;

    /** Refuses a journal where nothing is searched for. */
    void requireMeaning(boolean searches) {
        if (journal != null && !searches) {
            throw new ParameterException(
                    command.commandLine(), "--journal is for the search of --mode auto.");
        }
    }

    /**
     * The quantizer with the journal that is named, or one beside the result.
     *
     * @param force whether one beside it may be another search's, and is begun anew then
     */
    Quantizer applyTo(Quantizer quantizer, Path out, boolean force) {
        if (journal != null) {
            return quantizer.journal(journal);
        }
        Path file = besides(out);
        return force ? quantizer.scratchJournal(file) : quantizer.journal(file);
    }

    /** Where it is kept. */
    Path place(Path out) {
        return journal == null ? besides(out) : journal;
    }

    private static Path besides(Path out) {
        return out.resolveSibling(out.getFileName() + ".journal");
    }

    /** The search has ended: a journal that nobody named is not needed any more. */
    void end(Path out) {
        try {
            if (journal == null) {
                Files.deleteIfExists(besides(out));
            }
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't delete %s: %s.".formatted(besides(out), AtomicFile.reason(e)), e);
        }
    }
}
