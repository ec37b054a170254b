package io.espalier.cli;

import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** Rows under headings: words aligned to the left, then numbers to the right. */
final class Table {
    private final int words;
    private final List<List<String>> rows = new ArrayList<>();

    /**
     * @param words how many columns, from the first on, hold words
     */
    Table(int words, String... headings) {
        this.words = words;
        rows.add(List.of(headings));
    }

    /** Adds a row; what its cells say may come from anywhere. */
    Table row(String... cells) {
        rows.add(Arrays.stream(cells).map(Printable::line).toList());
        return this;
    }

    /** The lines, each as wide as its longest cells need. */
    List<String> lines() {
        int[] widths = new int[rows.getFirst().size()];
        for (List<String> row : rows) {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], row.get(i).length());
            }
        }
        return rows.stream().map(row -> line(row, widths)).toList();
    }

    private String line(List<String> row, int[] widths) {
        var line = new StringBuilder();
        for (int i = 0; i < widths.length; i++) {
            String cell = row.get(i);
            line.append(i == 0 ? "" : "  ");
            if (i < words) {
                line.append(cell).repeat(' ', widths[i] - cell.length());
            } else {
                line.repeat(' ', widths[i] - cell.length()).append(cell);
            }
        }
        return line.toString().stripTrailing();
    }

    static String count(long number) {
        return String.format(Locale.ROOT, "%,d", number);
    }

    /** Bytes as megabytes of 1,000,000, with three digits after the point. */
    static String megabytes(long bytes) {
        return String.format(Locale.ROOT, "%.3f MB", bytes / 1e6);
    }

    static String decimals(double number) {
        return String.format(Locale.ROOT, "%.2f", number);
    }

    /** The size of a file. */
    static long fileBytes(Path file) {
        try {
            return Files.size(file);
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    static String percent(double share) {
        return String.format(Locale.ROOT, "%.2f %%", 100 * share);
    }
}
